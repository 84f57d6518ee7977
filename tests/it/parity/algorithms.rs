//! Algorithms: the defaults, what is used on request, and what russh lacks.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use super::{BOTH, Client};
use crate::support::command;
use crate::support::login::{HOST, Login};
use crate::support::sshd::Sshd;
use crate::support::target::Target;

/// The expected outcome for these server lines and arguments.
struct Case {
    server: &'static [&'static str],
    arguments: &'static [&'static str],
    ssh: bool,
    /// Whether the program logs in; otherwise its message.
    sockeye: Result<(), &'static [&'static str]>,
}

const fn both(server: &'static [&'static str], arguments: &'static [&'static str]) -> Case {
    Case { server, arguments, ssh: true, sockeye: Ok(()) }
}

const fn neither(
    server: &'static [&'static str],
    arguments: &'static [&'static str],
    words: &'static [&'static str],
) -> Case {
    Case { server, arguments, ssh: false, sockeye: Err(words) }
}

const fn lacking(
    server: &'static [&'static str],
    arguments: &'static [&'static str],
    words: &'static [&'static str],
) -> Case {
    Case { server, arguments, ssh: true, sockeye: Err(words) }
}

const CASES: &[Case] = &[
    both(&["KexAlgorithms diffie-hellman-group-exchange-sha256"], &[]),
    both(&["KexAlgorithms diffie-hellman-group18-sha512"], &[]),
    both(&["KexAlgorithms diffie-hellman-group16-sha512"], &[]),
    neither(
        &["KexAlgorithms diffie-hellman-group14-sha1"],
        &[],
        &["no common key exchange", "KexAlgorithms +diffie-hellman-group14-sha1 in ssh_config"],
    ),
    both(
        &["KexAlgorithms diffie-hellman-group14-sha1"],
        &["-o", "KexAlgorithms=+diffie-hellman-group14-sha1"],
    ),
    both(
        &["KexAlgorithms diffie-hellman-group14-sha1"],
        &["-o", "KexAlgorithms=^diffie-hellman-group14-sha1"],
    ),
    both(
        &["KexAlgorithms diffie-hellman-group1-sha1"],
        &["-o", "KexAlgorithms=diffie-hellman-group1-sha1"],
    ),
    both(
        &["KexAlgorithms diffie-hellman-group-exchange-sha1"],
        &["-o", "KexAlgorithms=+diffie-hellman-group-exchange-sha1"],
    ),
    lacking(
        &["KexAlgorithms sntrup761x25519-sha512@openssh.com"],
        &[],
        &["no common key exchange", "none of the server's is available here"],
    ),
    both(&["Ciphers aes128-ctr", "MACs hmac-sha1"], &[]),
    both(&["Ciphers aes128-ctr", "MACs hmac-sha1"], &["-o", "MACs=+hmac-sha1"]),
    both(&["Ciphers aes128-ctr", "MACs hmac-sha1"], &["-m", "hmac-sha1"]),
    both(&["Ciphers aes256-ctr", "MACs hmac-sha2-256"], &["-o", "MACs=-hmac-sha1"]),
    neither(
        &["Ciphers aes128-ctr", "MACs hmac-sha1"],
        &["-o", "MACs=-hmac-sha1*"],
        &["no common MAC", "hmac-sha1"],
    ),
    lacking(
        &["Ciphers aes128-ctr", "MACs umac-64@openssh.com"],
        &[],
        &["no common MAC", "none of the server's is available here"],
    ),
    neither(
        &["Ciphers aes256-cbc"],
        &[],
        &["no common cipher", "Ciphers +aes256-cbc in ssh_config"],
    ),
    both(&["Ciphers aes256-cbc"], &["-o", "Ciphers=+aes256-cbc"]),
    both(&["Ciphers aes128-cbc"], &["-c", "aes128-cbc"]),
    neither(&["Ciphers 3des-cbc"], &[], &["no common cipher", "Ciphers +3des-cbc in ssh_config"]),
    both(&["Ciphers 3des-cbc"], &["-c", "3des-cbc"]),
    neither(&[], &["-o", "HostKeyAlgorithms=ecdsa-sha2-nistp521"], &["ecdsa-sha2-nistp521"]),
    neither(
        &[],
        &["-o", "HostKeyAlgorithms=sk-ssh-ed25519@openssh.com"],
        &["HostKeyAlgorithms: none of 'sk-ssh-ed25519@openssh.com' is available here"],
    ),
    both(&[], &["-o", "HostKeyAlgorithms=sk-ssh-ed25519@openssh.com,ssh-ed25519"]),
];

fn reach(client: Client, sshd: &Sshd, arguments: &[&str]) -> Output {
    let target = Target::echo();
    let mut command = client.command(&sshd.ssh_config());
    // The largest groups take a busy machine longer than a handshake may by default.
    command.args(arguments).args(["-o", "ConnectTimeout=120"]);
    command.args(["-W", &format!("127.0.0.1:{}", target.port()), HOST]);
    command.stdin(Stdio::null()).output().expect("it ends")
}

fn check(client: Client, output: &Output, expected: bool, words: &[&str], case: &str) {
    assert_eq!(output.status.success(), expected, "{client:?}, {case}: {output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for word in words.iter().filter(|_| client == Client::Sockeye) {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn algorithms_are_used_as_in_ssh_if_available() {
    for Case { server, arguments, ssh, sockeye } in CASES {
        let sshd = Sshd::with(server);
        let case = format!("{server:?}, {arguments:?}");
        let words = sockeye.err().unwrap_or_default();
        for client in BOTH {
            let expected = if client == Client::Ssh { *ssh } else { sockeye.is_ok() };
            check(client, &reach(client, &sshd, arguments), expected, words, &case);
        }
    }
}

/// An RSA key.
fn rsa(login: &Login) -> PathBuf {
    let mut keygen = command("ssh-keygen");
    keygen.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(login.path("rsa"));
    assert!(keygen.status().expect("ssh-keygen").success());
    login.path("rsa")
}

/// An old server, whose RSA key signs with SHA-1 only.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_signature_with_sha_1_is_accepted_on_request() {
    let sshd = Sshd::prepared(|login| {
        let key = format!("HostKey {}", rsa(login).display());
        vec![key, "HostKeyAlgorithms ssh-rsa".to_owned()]
    });
    let login = sshd.login();
    let (record, key) = (login.path("record"), fs::read_to_string(login.path("rsa.pub")));
    let line = format!("[127.0.0.1]:{} {}", sshd.port(), key.expect("a key"));
    fs::write(&record, line).expect("written");
    let known = format!("UserKnownHostsFile={}", record.display());
    for (asked, expected) in [("rsa-sha2-512", false), ("+ssh-rsa", true), ("ssh-rsa", true)] {
        let asked = format!("HostKeyAlgorithms={asked}");
        for client in BOTH {
            let output = reach(client, &sshd, &["-o", &known, "-o", &asked]);
            let words = if expected { &[][..] } else { &["ssh-rsa"] };
            check(client, &output, expected, words, &asked);
        }
    }
}

/// Servers that accept only one signature algorithm for a user's RSA key. A list that only adds leaves `ssh`
/// with its best one.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_user_key_signs_with_the_configured_algorithm() {
    for (server, asked, expected) in [
        ("rsa-sha2-512", None, true),
        ("rsa-sha2-512", Some("+ssh-rsa"), true),
        ("rsa-sha2-512", Some("rsa-sha2-256"), false),
        ("rsa-sha2-256", None, false),
        ("rsa-sha2-256", Some("rsa-sha2-256"), true),
        ("ssh-rsa", None, false),
        ("ssh-rsa", Some("+ssh-rsa"), false),
        ("ssh-rsa", Some("ssh-rsa"), true),
    ] {
        let sshd = Sshd::prepared(|login| {
            fs::copy(rsa(login).with_extension("pub"), login.path("authorized_keys"))
                .expect("a copy");
            vec![format!("PubkeyAcceptedAlgorithms {server}")]
        });
        let key = sshd.login().path("rsa").display().to_string();
        let asked = asked.map(|list| format!("PubkeyAcceptedAlgorithms={list}"));
        let mut arguments = vec!["-i", &key];
        arguments.extend(asked.iter().flat_map(|option| ["-o", option.as_str()]));
        for client in BOTH {
            let output = reach(client, &sshd, &arguments);
            check(client, &output, expected, &[], &format!("{server}, {asked:?}"));
        }
    }
}
