//! Which host keys are trusted, and which are learnt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{BOTH, Client};
use crate::support::login::{HOST, Login};
use crate::support::person::Person;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, wait, write_program};

/// Whether the program reaches a target behind the server.
fn is_in(client: Client, config: &Path, target: &Target) -> bool {
    let mut command = client.command(config);
    command.args(["-W", &format!("127.0.0.1:{}", target.port()), HOST]);
    let output = command.stdin(Stdio::null()).output().expect("it ends");
    output.status.success()
}

fn keygen(arguments: &[&str], file: &Path) {
    let output = command("ssh-keygen").args(arguments).arg(file).output().expect("ssh-keygen");
    assert!(output.status.success(), "{output:?}");
}

fn public(login: &Login, name: &str) -> String {
    fs::read_to_string(login.path(&format!("{name}.pub"))).expect("a key")
}

/// A record with one key.
fn record(login: &Login, port: u16, key: &str) -> PathBuf {
    let path = login.path("record");
    fs::write(&path, format!("[127.0.0.1]:{port} {}", public(login, key))).expect("a record");
    path
}

#[test]
#[ignore = "needs sshd, ssh"]
fn of_two_keys_of_a_type_the_certified_one_is_used() {
    let sshd = Sshd::prepared(|login| {
        for name in ["second", "ca"] {
            login.make_key(name);
        }
        let ca = login.path("ca");
        let certify = ["-q", "-h", "-I", "id", "-s", ca.to_str().expect("UTF-8")];
        keygen(&certify, &login.path("second.pub"));
        let (key, certificate) = (login.path("second"), login.path("second-cert.pub"));
        // sshd reads its own settings first.
        vec![
            format!("HostKey {}", login.host_key().display()),
            format!("HostKey {}", key.display()),
            format!("HostCertificate {}", certificate.display()),
        ]
    });
    let (login, target) = (sshd.login(), Target::echo());
    for (key, expected) in [("second", true), ("host", false), ("ca", false)] {
        let line = format!("UserKnownHostsFile {}", record(login, sshd.port(), key).display());
        let config = login.ssh_config(sshd.port(), &[&line]);
        for client in BOTH {
            assert_eq!(is_in(client, &config, &target), expected, "{client:?}, {key}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn the_record_follows_the_accepted_types() {
    let sshd = Sshd::prepared(|login| {
        let more = [("rsa", "rsa"), ("ecdsa", "ecdsa")].map(|(name, kind)| {
            keygen(&["-q", "-t", kind, "-N", "", "-f"], &login.path(name));
            format!("HostKey {}", login.path(name).display())
        });
        more.into()
    });
    let login = sshd.login();
    for (types, expected, of_ssh, ours) in [
        ("ssh-ed25519", 1, "no new or deprecated keys", "leave the record as it is"),
        ("ssh-ed25519,rsa-sha2-256", 2, "Learned new hostkey: RSA", "follows the announced"),
    ] {
        for client in BOTH {
            let record = record(login, sshd.port(), "host");
            let lines = [
                "UpdateHostKeys yes",
                &format!("HostKeyAlgorithms {types}"),
                &format!("UserKnownHostsFile {}", record.display()),
            ];
            let config = login.ssh_config(sshd.port(), &lines);
            let log = login.path("client.log");
            let _ = fs::remove_file(&log);
            let mut command = client.command(&config);
            command.args(["-v", "-D", &free_port().to_string(), "-E"]).arg(&log).arg(HOST);
            let _running = client.start(command);
            let words = if client == Client::Ssh { of_ssh } else { ours };
            let said = || fs::read_to_string(&log).unwrap_or_default();
            wait::until(&format!("{client:?} says {words}"), || said().contains(words));
            let known = || fs::read_to_string(&record).expect("a record").lines().count();
            wait::until(&format!("{client:?} knows {expected}"), || known() == expected);
        }
    }
}

/// Scripts that answer prompts wait for the last line of a question.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_new_key_is_asked_about_in_the_words_of_ssh() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let login = sshd.login();
    let fingerprint = Login::fingerprint(&login.host_key());
    let record = login.path("record");
    let file = format!("UserKnownHostsFile {}", record.display());
    let config = login.ssh_config(sshd.port(), &["StrictHostKeyChecking ask", &file]);
    for (answers, expected) in [
        (&["yes"][..], true),
        (&["no"], false),
        (&[&fingerprint], true),
        (&["well", "yes"], true),
        (&["SHA256:another", "no"], false),
        // This stands for a program that succeeds without output.
        (&[""], false),
    ] {
        let asked = BOTH.map(|client| {
            let _ = fs::remove_file(&record);
            let person = Person::with(answers);
            let mut command = client.command(&config);
            person.answers(&mut command);
            command.args(["-W", &format!("127.0.0.1:{}", target.port()), HOST]);
            let output = command.stdin(Stdio::null()).output().expect("it ends");
            assert_eq!(output.status.success(), expected, "{client:?} {answers:?}: {output:?}");
            let asked = person.asked();
            asked.iter().map(|text| text.lines().last().map(str::to_owned)).collect::<Vec<_>>()
        });
        assert_eq!(asked[0], asked[1], "{answers:?}");
        assert_eq!(asked[0].len(), answers.len());
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_key_revocation_list_applies() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let login = sshd.login();
    login.make_key("other");
    for (specification, revoked) in [
        (public(login, "host"), true),
        (format!("sha256: {}", public(login, "host")), true),
        (format!("sha1: {}", public(login, "host")), true),
        (public(login, "other"), false),
        (String::new(), false),
    ] {
        let (list, spec) = (login.path("list"), login.path("spec"));
        let _ = fs::remove_file(&list);
        fs::write(&spec, &specification).expect("written");
        keygen(&["-q", "-k", "-f", list.to_str().expect("UTF-8")], &spec);
        let line = format!("RevokedHostKeys {}", list.display());
        let config = login.ssh_config(sshd.port(), &[&line]);
        for client in BOTH {
            assert_eq!(is_in(client, &config, &target), !revoked, "{client:?}, {specification}");
        }
    }
    // A truncated list revokes everything.
    let list = login.path("list");
    let whole = fs::read(&list).expect("a list");
    fs::write(&list, &whole[..20]).expect("written");
    let config = login.ssh_config(sshd.port(), &[&format!("RevokedHostKeys {}", list.display())]);
    for client in BOTH {
        assert!(!is_in(client, &config, &target), "{client:?}");
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_command_may_supply_host_keys() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let login = sshd.login();
    login.make_key("other");
    let script = login.path("known");
    let asked = login.path("asked");
    let line = |key: &str| format!("[127.0.0.1]:{} {}", sshd.port(), public(login, key));
    for (says, status, expected) in [
        (line("host"), 0, true),
        (line("other"), 0, false),
        (String::new(), 0, false),
        (line("host"), 3, false),
    ] {
        let text = format!(
            "#!/bin/sh\nprintf '%s|' \"$@\" >> {}\necho >> {0}\ncat <<'X'\n{says}\nX\nexit {status}\n",
            asked.display()
        );
        write_program(&script, &text);
        let empty = login.path("empty");
        fs::write(&empty, "").expect("written");
        let command =
            format!("KnownHostsCommand {} %H %I %t %f %K %h %p %r \"%n %%\"", script.display());
        let file = format!("UserKnownHostsFile {}", empty.display());
        let config = login.ssh_config(sshd.port(), &[&command, &file]);
        let mut seen = Vec::new();
        for client in BOTH {
            let _ = fs::remove_file(&asked);
            assert_eq!(is_in(client, &config, &target), expected, "{client:?}, {says}, {status}");
            let lines = fs::read_to_string(&asked).expect("it was asked");
            let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
            lines.dedup();
            seen.push(lines);
        }
        // If it fails, ssh does not call it again. The call about the order has the port in newer versions.
        let last = |questions: &[String]| questions.last().cloned();
        let same = seen[0].len() == 2 && seen[1].len() == 2 && last(&seen[0]) == last(&seen[1]);
        assert!(same || status != 0, "{seen:?}");
    }
}
