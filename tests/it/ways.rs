//! The routes to a server: over jump hosts, through a program, from a given address, with given
//! algorithms; and the messages when a route fails.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::thread;

use crate::support::configured::Configuration;
use crate::support::content::{Content, Sum};
use crate::support::login::{HOST, user};
use crate::support::program::{Sockeye, program};
use crate::support::socks::{self, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, process, scaled, wait};

mod errors;
mod hops;

/// Writes an `ssh_config` in the directory of the first server, with a block for each: its name, the
/// server, and extra lines, which come first and so take precedence.
pub(crate) fn config(hosts: &[(&str, &Sshd, &[&str])]) -> PathBuf {
    let mut text = String::new();
    for (name, sshd, lines) in hosts {
        let (login, port) = (sshd.login(), sshd.port());
        let known_hosts = login.know_host(port, &login.host_key());
        let _ = write!(
            text,
            "Host {name}\n    {lines}\n    HostName 127.0.0.1\n    Port {port}\n    User {user}\n    \
             IdentityFile {key}\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile {known_hosts}\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n",
            lines = lines.join("\n    "),
            user = user(),
            key = login.client_key().display(),
            known_hosts = known_hosts.display(),
        );
    }
    let path = hosts[0].1.login().path("ssh_config-ways");
    fs::write(&path, text).expect("ssh_config");
    path
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

/// Sees to it that each server was logged in to as often as expected. A session that was replaced is one login
/// more, at any of them.
#[track_caller]
fn assert_logins(proxy: &Sockeye, expected: &[(&Sshd, usize)]) {
    wait::until_ok("each server was logged in to as often as it should be", || {
        let found: Vec<_> = expected.iter().map(|(sshd, _)| logins(sshd)).collect();
        let is_enough = found.iter().zip(expected).all(|(found, (_, least))| found >= least);
        let least: usize = expected.iter().map(|(_, least)| least).sum();
        let is_all = found.iter().sum::<usize>() == least + proxy.replaced();
        if is_enough && is_all { Ok(()) } else { Err(format!("{found:?}: {}", proxy.log())) }
    });
}

#[track_caller]
fn assert_download(proxy: &Sockeye, length: u64) {
    let source = Target::source(length);
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
    client.write_all(b"!").expect("sent");
    assert_eq!(Sum::of(client).expect("a clean end"), Content::of(length).sum());
}

#[test]
#[ignore = "needs sshd"]
fn over_one_hop_and_over_two() {
    let (far, middle, near) = (Sshd::start(), Sshd::start(), Sshd::start());
    for (config, arguments) in [
        (config(&[(HOST, &far, &["ProxyJump middle"]), ("middle", &middle, &[])]), &[][..]),
        (
            config(&[
                (HOST, &far, &[]),
                ("middle", &middle, &["ProxyJump no-such"]),
                ("near", &near, &[]),
            ]),
            &["-J", "near,middle"],
        ),
        (
            config(&[
                (HOST, &far, &["ProxyJump middle"]),
                ("middle", &middle, &["ProxyJump near"]),
                ("near", &near, &[]),
            ]),
            &[],
        ),
    ] {
        let before = [&far, &middle, &near].map(logins);
        let hops = if arguments.is_empty()
            && !fs::read_to_string(&config).expect("it").contains("Host near")
        {
            1
        } else {
            2
        };
        let proxy = Sockeye::with(&config, &[&["--sessions", "1", "-v"], arguments].concat());
        assert_download(&proxy, 8 << 20);
        // One session to the server, to the hop before it, and to the one before that.
        let expected = [
            (&far, before[0] + 1),
            (&middle, before[1] + 1),
            (&near, before[2] + usize::from(hops == 2)),
        ];
        assert_logins(&proxy, &expected);
        let told = proxy.log().matches("passing ").count();
        assert_eq!(told, hops, "{}", proxy.log());
    }
}

#[test]
#[ignore = "needs sshd"]
fn the_sessions_of_a_pool_share_a_hop() {
    let (far, near) = (Sshd::start(), Sshd::start());
    let config = config(&[(HOST, &far, &["ProxyJump near"]), ("near", &near, &[])]);
    let proxy = Sockeye::with(&config, &["--sessions", "4", "-v"]);
    wait::until("the pool is full", || logins(&far) >= 4);
    let echo = Target::echo();
    let clients: Vec<_> =
        (0..20).map(|_| Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port())).collect();
    for (i, mut client) in clients.into_iter().enumerate() {
        client.write_all(&[u8::try_from(i).expect("few")]).expect("sent");
        client.shutdown(std::net::Shutdown::Write).expect("half-closed");
        let (bytes, ended) = socks::read_to_any_end(&mut client);
        ended.expect("a clean end");
        assert_eq!(bytes, [u8::try_from(i).expect("few")]);
    }
    assert!(logins(&far) <= 4 + proxy.replaced(), "{}", proxy.log());
    assert!(logins(&near) < 4, "{} logins at the hop", logins(&near));
}

/// Clients that do not read, one on each session, block nobody on the shared jump host.
#[test]
#[ignore = "needs sshd"]
fn clients_that_do_not_read_block_nobody_on_a_shared_hop() {
    let (far, near) = (Sshd::start(), Sshd::start());
    let config = config(&[(HOST, &far, &["ProxyJump near"]), ("near", &near, &[])]);
    // Room for the window of a distant server on each session: on a busy machine these servers seem distant.
    let proxy = Sockeye::with(&config, &["--sessions", "2..3", "--backlog", "1MiB,64MiB,512MiB"]);
    let (flood, length) = (Target::flood(), scaled(16 << 20, 64 << 20));
    let held: Vec<TcpStream> =
        (0..2).map(|_| Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port())).collect();
    for _ in 0..4 {
        assert_download(&proxy, length);
    }
    drop(held);
}

#[test]
#[ignore = "needs sshd"]
fn a_hop_that_dies_is_found_again() {
    let (far, mut near) = (Sshd::start(), Sshd::start());
    let config = config(&[(HOST, &far, &["ProxyJump near"]), ("near", &near, &[])]);
    let proxy = Sockeye::single(&config);
    let (echo, flood) = (Target::echo(), Target::flood());
    let mut cut = Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port());
    let reading = thread::spawn(move || std::io::copy(&mut cut, &mut std::io::sink()));
    near.kill_children();
    let ended = reading.join().expect("no panic");
    assert!(ended.is_err(), "a cut is never a clean end: {ended:?}");
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));

    near.stop();
    proxy.wait_for_log("the jump host near has no session: connect to 127.0.0.1:");
    near.start_again();
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
}

#[test]
#[ignore = "needs sshd, nc"]
fn through_a_program() {
    let sshd = Sshd::start();
    for command in ["nc %h %p", "sh -c 'echo over %n >&2; exec nc %h %p'"] {
        let line = format!("ProxyCommand {command}");
        let mut proxy = Sockeye::single(&config(&[(HOST, &sshd, &[&line])]));
        assert_download(&proxy, 8 << 20);
        if command.starts_with("sh") {
            proxy.wait_for_log(&format!("the proxy command says: over {HOST}"));
        }
        let ours = process::descendants(proxy.pid());
        assert_eq!(ours.len(), 1, "one program for one session");
        proxy.terminate();
        assert_eq!(proxy.wait().code(), Some(0));
        wait::until("it has ended with us", || !process::is_running(ours[0]));
    }
}

#[test]
#[ignore = "needs sshd, nc"]
fn a_program_that_ends_is_started_again() {
    let sshd = Sshd::start();
    let proxy = Sockeye::single(&config(&[(HOST, &sshd, &["ProxyCommand nc %h %p"])]));
    let echo = Target::echo();
    for pid in process::descendants(proxy.pid()) {
        process::signal(pid, rustix::process::Signal::KILL);
    }
    proxy.wait_for_log("lost a session");
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
}

/// A login in a browser takes time, for which `ssh` waits without limit.
#[test]
#[ignore = "needs sshd, nc"]
fn a_proxy_command_may_wait_for_a_person_and_blocks_nobody() {
    let (sshd, echo, other) = (Sshd::start(), Target::echo(), Target::echo());
    let done = sshd.login().path("done");
    let login = format!("echo log in >&2; while [ ! -e {} ]; do sleep 0.1; done", done.display());
    let command = format!("ProxyCommand sh -c '{login}; exec nc %h %p'");
    let config = config(&[("slow", &sshd, &[&command]), (HOST, &sshd, &[])]);
    let server = |name| format!("[server.{name}]\nssh_config = \"{}\"\n", config.display());
    let configuration = Configuration::with(&format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n{}{}\
         [[rule]]\nport = {}\nvia = \"slow\"\n[default]\nvia = \"{HOST}\"\n",
        server("slow"),
        server(HOST),
        echo.port(),
    ));
    let proxy = configuration.start();
    proxy.wait_for_log("still waiting for slow (by its ProxyCommand)");
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", other.port()));
    let answer = Protocol::Socks5.refusal(proxy.address(), "127.0.0.1", echo.port());
    assert_eq!(answer[..2], [5, 1], "requests have their own limit");
    fs::write(&done, "").expect("written");
    proxy.wait_for_log("connected to slow");
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
    assert_eq!(proxy.log().matches("the proxy command says: log in").count(), 1);
}

#[test]
#[ignore = "needs sshd"]
fn from_an_address_and_an_interface() {
    let sshd = Sshd::start();
    let config = sshd.ssh_config();
    drop(Sockeye::with(&config, &["-b", "127.0.0.2"]));
    assert!(sshd.log().contains("Connection from 127.0.0.2 "), "{}", sshd.log());
    drop(Sockeye::with(&config, &["-B", "lo"]));
    drop(Sockeye::with(&config, &["-o", "BindAddress=127.0.0.3", "-o", "BindInterface=no-such"]));
    assert!(sshd.log().contains("Connection from 127.0.0.3 "), "{}", sshd.log());
}

#[test]
#[ignore = "needs sshd"]
fn the_configured_algorithms_are_used() {
    let sshd = Sshd::start();
    let config = sshd.ssh_config();
    for (arguments, agreed) in [
        (&["-c", "aes256-ctr", "-m", "hmac-sha2-256"][..], "aes256-ctr with hmac-sha2-256)"),
        (&["-c", "3des-cbc,chacha20-poly1305@openssh.com"], ", chacha20-poly1305@openssh.com)"),
        (&["-o", "MACs=hmac-sha1", "-c", "aes128-ctr"], "aes128-ctr with hmac-sha1)"),
        (&["-o", "KexAlgorithms=ecdh-sha2-nistp384"], ", ecdh-sha2-nistp384, "),
        (
            &["-o", "KexAlgorithms=diffie-hellman-group16-sha512"],
            ", diffie-hellman-group16-sha512, ",
        ),
        (
            &["-o", "KexAlgorithms=diffie-hellman-group-exchange-sha256"],
            ", diffie-hellman-group-exchange-sha256, ",
        ),
        (&["-o", "HostKeyAlgorithms=ssh-ed25519"], "(host key ssh-ed25519, "),
        (&["-C"], ", compressed)"),
    ] {
        let proxy = Sockeye::with(&config, arguments);
        proxy.wait_for_log(agreed);
        assert_download(&proxy, 1 << 20);
    }
}

#[test]
#[ignore = "needs sshd"]
fn compressed_bytes_are_exact_both_ways() {
    let sshd = Sshd::start();
    let proxy = Sockeye::single(&sshd.login().ssh_config(sshd.port(), &["Compression yes"]));
    proxy.wait_for_log(", compressed)");
    let length = scaled(16 << 20, 256 << 20);
    assert_download(&proxy, length);
    let (sink, received) = Target::sums();
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", sink.port());
    std::io::copy(&mut Content::of(length), &mut client).expect("sent");
    client.shutdown(std::net::Shutdown::Write).expect("half-closed");
    let sum = received.recv_timeout(wait::LONG).expect("the target's sum");
    assert_eq!(sum, Content::of(length).sum());
}

/// Rekeying from our side would end a busy session, so none is started.
#[test]
#[ignore = "needs sshd"]
fn a_rekey_limit_ends_no_transfer() {
    let sshd = Sshd::with(&["LogLevel DEBUG1"]);
    let proxy =
        Sockeye::with(&sshd.ssh_config(), &["--sessions", "1", "-v", "-o", "RekeyLimit=1M"]);
    proxy.wait_for_log("RekeyLimit");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_download(&proxy, scaled(64 << 20, 512 << 20)));
        }
    });
    assert!(!proxy.log().contains("lost a session"), "{}", proxy.log());
    assert_eq!(sshd.log().matches("SSH2_MSG_KEXINIT received").count(), logins(&sshd));
}

#[test]
#[ignore = "needs sshd"]
fn ineffective_settings_are_named_once() {
    let sshd = Sshd::start();
    let config = sshd.login().ssh_config(sshd.port(), &["ForwardAgent yes", "CheckHostIP no"]);
    let proxy = Sockeye::with(&config, &["-v"]);
    let log = proxy.log();
    assert_eq!(log.matches("ForwardAgent has no effect").count(), 1, "{log}");
    assert_eq!(log.matches("has no effect").count(), 1, "{log}");
}

/// A setting that is ignored for safety is reported.
#[test]
#[ignore = "needs sshd"]
fn settings_that_would_trust_unseen_host_keys_have_no_effect() {
    let sshd = Sshd::start();
    let trusting = ["NoHostAuthenticationForLocalhost yes", "VerifyHostKeyDNS yes"];
    let config = config(&[(HOST, &sshd, &trusting)]);
    let named = |log: &str| {
        for (keyword, why) in [
            ("NoHostAuthenticationForLocalhost", "host keys are verified, always"),
            ("VerifyHostKeyDNS", "host keys are looked up in files"),
        ] {
            let words = format!("{keyword} has no effect: {why}");
            assert_eq!(log.matches(&words).count(), 1, "{words}: {log}");
        }
        assert_eq!(log.matches("has no effect").count(), 2, "{log}");
    };
    named(&Sockeye::with(&config, &["-v"]).log());
    assert!(!Sockeye::with(&config, &[]).log().contains("has no effect"));
    let login = sshd.login();
    login.know_host(sshd.port(), &login.make_key("other"));
    let output = start_in_vain(&config, &["-v"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("THE HOST KEY OF") && said.contains("HAS CHANGED"), "{said}");
    named(&said);
}

/// Starts the program, which must fail, and returns its output.
pub(crate) fn start_in_vain(config: &PathBuf, arguments: &[&str]) -> Output {
    let port = free_port();
    program()
        .arg("-F")
        .arg(config)
        .args(["-D", &port.to_string()])
        .args(arguments)
        .arg(HOST)
        .stdin(Stdio::null())
        .output()
        .expect("the program")
}
