//! One message for each failure: what happened, at which server, and what to do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{config, start_in_vain};
use crate::support::closed_port;
use crate::support::login::HOST;
use crate::support::rude::Rude;
use crate::support::sshd::Sshd;
use crate::support::target::Target;

#[test]
#[ignore = "needs sshd"]
fn a_server_that_cannot_be_reached() {
    let servers = Servers::start();
    let nobody = format!("Port {}", closed_port());
    servers.fail(&[&nobody], &[], &["connect to 127.0.0.1:", "refused", "check the port"]);
    let unknown = "HostName no-such.invalid";
    servers.fail(&[unknown], &[], &["no-such.invalid does not resolve", "check its spelling"]);
    servers.fail(&["AddressFamily inet6"], &[], &["has no IPv6 address", "-6"]);
    servers.fail(&["BindAddress 192.0.2.1"], &[], &["BindAddress 192.0.2.1: ", "assign"]);
    servers.fail(&["BindInterface no-such"], &[], &["BindInterface no-such: "]);
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_does_not_speak_ssh() {
    let servers = Servers::start();
    let web = says(b"HTTP/1.1 400 \x1b[2JBad\r\n\r\n");
    let (web, _web) = (format!("Port {}", web.port()), web);
    let words = ["no SSH server", "'HTTP/1.1 400 \\u{1b}[2JBad'", "check the host and the port"];
    servers.fail(&[&web], &[], &words);
    let full = says(b"Exceeded MaxStartups\r\n");
    let words = ["turns us away", "Exceeded MaxStartups", "too many clients"];
    servers.fail(&[&format!("Port {}", full.port())], &[], &words);
    let rude = Rude::HangsUp.start();
    let words = ["closed the connection before it said anything"];
    servers.fail(&[&format!("Port {}", rude.port())], &[], &words);
    let rude = Rude::SilentAfterVersion.start();
    let port = format!("Port {}", rude.port());
    let words = ["did not finish the handshake within 5 s"];
    servers.fail(&[&port, "ConnectTimeout 1"], &[], &words);
}

#[test]
#[ignore = "needs sshd"]
fn nothing_in_common() {
    let servers = Servers::start();
    let picky = Sshd::with(&["Ciphers aes256-ctr", "KexAlgorithms curve25519-sha256"]);
    let port = format!("Port {}", picky.port());
    let words =
        ["no common cipher", "here: aes128-ctr;", "server: aes256-ctr;", "Ciphers +aes256-ctr in"];
    servers.fail(&[&port, "Ciphers aes128-ctr"], &[], &words);
    let old = "diffie-hellman-group14-sha256";
    let words = ["no common key exchange", old, "curve25519-sha256", "KexAlgorithms"];
    servers.fail(&[&port, &format!("KexAlgorithms {old}")], &[], &words);
    let words = ["MACs: none of 'umac-64@openssh.com'"];
    servers.fail(&["MACs umac-64@openssh.com"], &[], &words);
}

#[test]
#[ignore = "needs sshd"]
fn a_proxy_command_that_fails() {
    let servers = Servers::start();
    let command = |text: &str| format!("ProxyCommand {text}");
    let words = ["the ProxyCommand 'sh -c", "exit status: 3", ": no way"];
    servers.fail(&[&command("sh -c 'echo no way >&2; exit 3'")], &[], &words);
    let words = ["/nonexistent/program", "exit status: 127"];
    servers.fail(&[&command("/nonexistent/program")], &[], &words);
    let words = ["the ProxyCommand 'true' ended with exit status: 0"];
    servers.fail(&[&command("true")], &[], &words);
    servers.fail(&[&command("nc %h %p %d")], &[], &["the token %d", "%h, %k, %n, %p and %r"]);
    let words = ["ProxyUseFdpass is not supported", "ProxyJump"];
    servers.fail(&[&command("nc %h %p"), "ProxyUseFdpass yes"], &[], &words);
}

#[test]
#[ignore = "needs sshd"]
fn a_hop_that_fails() {
    let servers = Servers::start();
    let (jump, nobody) = ("ProxyJump hop", format!("Port {}", closed_port()));
    let unknown = "HostName no-such.invalid";
    let words = ["at the jump host hop: connect to 127.0.0.1:", "check the port"];
    servers.fail(&[jump], &[&nobody], &words);
    servers.fail(&[jump], &[unknown], &["at the jump host hop: ", "does not resolve"]);
    let web = says(b"HTTP/1.1 400 Bad\r\n");
    let (web, _web) = (format!("Port {}", web.port()), web);
    servers.fail(&[jump], &[&web], &["at the jump host hop: ", "no SSH server"]);
    servers.fail(&[jump, &web], &[], &["is no SSH server", "HTTP/1.1 400"]);
    let words = ["the jump host hop could not connect to 127.0.0.1:", "refused", "check the port"];
    servers.fail(&[jump, &nobody], &[], &words);
    let words = ["the jump host hop could not connect to no-such.invalid:"];
    servers.fail(&[jump, unknown], &[], &words);
    let password = ["PreferredAuthentications password", "BatchMode yes"];
    servers.fail(&[jump], &password, &["at the jump host hop: ", "publickey"]);
    servers.fail(&[jump], &["ProxyJump hop"], &["circle: testhost needs hop needs hop; "]);
    let words =
        ["the jump hosts lead in a circle: testhost needs hop needs testhost", "ProxyJump none"];
    servers.fail(&[jump], &["ProxyJump testhost"], &words);
}

/// A server, and a jump host on the way to it.
struct Servers {
    far: Sshd,
    near: Sshd,
}

impl Servers {
    fn start() -> Self {
        Self { far: Sshd::start(), near: Sshd::start() }
    }

    /// Starts with these lines for the server and for the host named `hop`; checks that it fails,
    /// with one message that contains these words.
    #[track_caller]
    fn fail(&self, server: &[&str], hop: &[&str], words: &[&str]) {
        let config = config(&[(HOST, &self.far, server), ("hop", &self.near, hop)]);
        let output = start_in_vain(&config, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is not in\n{said}");
        }
        let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one message\n{said}");
        assert!(!said.contains('\x1b'), "{said:?}");
    }
}

/// A server that sends these words to every client, and waits.
fn says(words: &'static [u8]) -> Target {
    Target::start(move |mut stream: TcpStream| {
        stream.write_all(words)?;
        while stream.read(&mut [0; 64])? > 0 {}
        Ok(())
    })
}

#[test]
fn an_invalid_list_of_hops() {
    let nothing = std::path::PathBuf::from("none");
    for (arguments, words) in [
        (&["-J", "bad host"][..], &["-J 'bad host'", "me@first:22,second"][..]),
        (&["-J", "a", "-J", "b"], &["-J is given more than once", "commas"]),
    ] {
        let output = start_in_vain(&nothing, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is not in\n{said}");
        }
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_hop_whose_key_changed_is_named() {
    let (far, near) = (Sshd::start(), Sshd::start());
    let config = config(&[(HOST, &far, &["ProxyJump hop"]), ("hop", &near, &[])]);
    let other = near.login().make_key("other");
    near.login().know_host(near.port(), &other);
    let output = start_in_vain(&config, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let host = format!("[127.0.0.1]:{}", near.port());
    for words in ["at the jump host hop: THE HOST KEY OF", &host, "HAS CHANGED"] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    assert!(!near.log().contains("Accepted") && !far.log().contains("Connection from"));
}
