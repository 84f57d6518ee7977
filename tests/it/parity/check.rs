//! `sockeye check HOST`: the settings in use, and what the server permits.

use std::fs;
use std::process::Output;

use crate::support::configured::{Configuration, server};
use crate::support::login::{HOST, user};
use crate::support::program::program;
use crate::support::sshd::Sshd;
use crate::support::{command, free_port};

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
#[ignore = "needs sshd"]
fn the_settings_are_shown_without_connecting() {
    let sshd = Sshd::start();
    let lines = ["ForwardAgent yes", "DynamicForward 1999", "ServerAliveInterval 7"];
    let config = sshd.login().ssh_config(sshd.port(), &lines);
    let mut check = program();
    check
        .arg("check")
        .args(["-N", "-L", "1998:db:5432", "-R", "1997", "-F"])
        .arg(&config)
        .arg(HOST);
    let output = check.output().expect("it ends");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        &format!("[127.0.0.1]:{}", sshd.port()),
        &sshd.login().client_key().display().to_string(),
        "known_hosts",
        "localhost:1999 (a proxy)",
        "localhost:1998 (to db:5432)",
        "ForwardAgent: no shell",
        "-N has no effect",
        "agent          none",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
    // Refused flags are reported.
    let mut check = program();
    check.args(["check", "-F"]).arg(&config).args(["-M", HOST]);
    let output = check.output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let mut check = program();
    check.args(["check", "-F"]).arg(&config).args([
        "-o",
        "ProxyUseFdpass=yes",
        "-o",
        "ProxyCommand=x",
    ]);
    let output = check.arg(HOST).output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("ProxyUseFdpass"), "{}", text(&output));
}

/// The first user and the first port on a command line win, even if they are in the server's name.
#[test]
#[ignore = "needs ssh"]
fn the_first_user_and_port_win() {
    for line in [
        "-o User=a -l b host",
        "-l b -o User=a host",
        "a@host -l b -o User=c",
        "-l b a@host",
        "-o User=b a@host",
        "a@host -o User=b",
        "-o Port=1 -p 2 host",
        "-p 2 -o Port=1 host",
        "ssh://a@host:5 -p 6 -l b",
        "-p 6 ssh://a@host:5 -oUser=b",
        "host -o Port=8 -p 7",
        "-Nlb -Tp7 a@host -p 9",
        "-o HostName=h -l a -o Port=3 ssh://b@host:4 -l c -p 5",
    ] {
        let words = || ["-F", "none"].into_iter().chain(line.split(' '));
        let printed = command("ssh").arg("-G").args(words()).output().expect("ssh");
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let value = |keyword: &str| {
            let lines = printed.lines().filter_map(|line| line.split_once(' '));
            lines
                .filter(|(key, _)| *key == keyword)
                .map(|(_, value)| value)
                .next()
                .expect("a value")
        };
        let (user, host, port) = (value("user"), value("hostname"), value("port"));
        let output = program().arg("check").args(words()).output().expect("it ends");
        let said = text(&output);
        let place = if port == "22" { host.to_owned() } else { format!("[{host}]:{port}") };
        let connects = format!("connects       to {place} as '{user}'\n");
        assert!(said.contains(&connects), "{line}: {said}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_server_is_asked_what_it_allows() {
    for (line, status, says) in [
        ("MaxSessions 10", 0, "forwarding     allowed"),
        ("AllowTcpForwarding no", 1, "forwarding     FORBIDDEN"),
    ] {
        let sshd = Sshd::with(&[line]);
        let config = sshd.ssh_config();
        let check = |port: u16| {
            let mut check = program();
            check.args(["check", "--connect", "-F"]).arg(&config).args(["--sessions", "1..3"]);
            check.args(["-p", &port.to_string(), HOST]).output().expect("it ends")
        };
        let output = check(sshd.port());
        let said = text(&output);
        assert_eq!(output.status.code(), Some(status), "{said}");
        for part in [says, "round trip", "3 at once", "publickey", "ssh-ed25519 SHA256:"] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        let output = check(free_port());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_fails_does_not_hide_the_others() {
    let sshd = Sshd::start();
    let dead = |name: &str| format!("{}port = {}\n", server(name, &sshd), free_port());
    let text_of = |servers: &[String]| Configuration::with(&servers.concat());
    let check = |configuration: Configuration| configuration.run("check", &["--connect"]);
    let servers = [dead("first"), server("good", &sshd), dead("last")];
    let output = check(text_of(&servers));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "cannot connect to first",
        "cannot connect to last",
        "forwarding     allowed",
        "error: 2 of 3 servers cannot be used",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let said = text(&check(text_of(&servers[..1])));
    assert!(said.contains("cannot connect to first") && !said.contains("of 1"), "{said}");
}

/// The password database decides which directory is home.
#[test]
#[ignore = "needs ssh, unshare"]
fn home_and_user_are_those_of_the_password_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config");
    fs::write(&config, "Host *\n IdentityFile %d/.ssh/%u_key\n IdentityFile ~bin/key-%i\n UserKnownHostsFile ~/known\n").expect("written");
    let mut check = program();
    check.args(["check", "-F"]).arg(&config).arg("somewhere");
    check.env("HOME", directory.path()).env_remove("USER").env_remove("LOGNAME");
    let output = check.output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let home =
        command("sh").args(["-c", "getent passwd $(id -u) | cut -d: -f6"]).output().expect("sh");
    let home = String::from_utf8(home.stdout).expect("text");
    let (home, user) = (home.trim(), user());
    let uid = rustix::process::getuid().as_raw();
    for path in
        [format!("{home}/.ssh/{user}_key"), format!("/bin/key-{uid}"), format!("{home}/known")]
    {
        assert!(said.contains(&path), "{path} is not in {said} {output:?}");
    }
}

#[test]
#[ignore = "needs ssh"]
fn complaints_of_ssh_have_their_place() {
    let file = "[server.a]\nssh_config = \"mine\"\n[server.b]\nssh_config = \"mine\"\n\
                [server.c]\noptions = [\"Foo=1\"]\n[[listen]]\naddress = \"127.0.0.1:1\"\n";
    let configuration = Configuration::with(file);
    configuration.write("mine", "Host *\n  Foo 1\n  Port x\n");
    let output = configuration.run("check", &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let (mine, file) = (configuration.path("mine"), configuration.path("config.toml"));
    for place in
        [format!("{}:2: Bad", mine.display()), format!("{}:3: Bad port 'x'", mine.display())]
    {
        assert_eq!(said.matches(&place).count(), 1, "{place}: {said}");
    }
    assert!(said.contains(&format!("{}:5", file.display())) && said.contains("[server.c]: "));
    assert!(!said.contains("terminating"), "{said}");
}
