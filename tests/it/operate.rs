//! Observing and controlling a running program: what its commands report about a server that forwards, one
//! that is dead, one that forbids forwarding, and about two instances side by side.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::login::HOST;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, process, wait};
use desk::{Desk, echoes};

mod commands;
mod dashboard;
mod desk;
mod figures;
mod observers;
mod pings;
mod top;
mod transfer;

#[test]
#[ignore = "needs sshd"]
fn a_server_is_reported_up_then_down_then_up_again() {
    let (desk, mut sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    desk.say("status").expect(3);
    desk.say("wait --timeout 0.2").expect(1);
    let mut proxy = desk.start(&sshd.ssh_config(), &[]);
    desk.say("wait").expect(0);
    let up = desk.say("status").expect(0);
    assert!(up.out.contains("ready, forwards"), "{}", up.out);
    let status = desk.status();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["instance"]["pid"], proxy.pid());
    assert_eq!(status["servers"][0]["path"], "proved");
    assert_eq!(status["forwards"][0]["state"], "listening");
    desk.say("ping").expect(0);
    desk.say(&format!("ping 127.0.0.1:{}", echo.port())).expect(0);

    sshd.stop();
    wait::until("the loss is reported", || desk.say("status -q").status == 1);
    let down = desk.status();
    assert_eq!(down["state"], "down");
    let reason = down["health"][0]["text"].as_str().expect("a sentence");
    assert!(!reason.is_empty());
    desk.say("wait --timeout 0.5").expect(1);

    sshd.start_again();
    desk.say("wait").expect(0);
    desk.say("status -q").expect(0);
    desk.say("stop").expect(0);
    assert!(proxy.wait().success());
    assert!(proxy.log().contains("stopping, as a command says"), "{}", proxy.log());
    desk.say("status").expect(3);
    assert!(!desk.socket(HOST).exists());
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_forbids_forwarding_is_not_reported_up() {
    let (desk, sshd) = (Desk::new(), Sshd::with(&["AllowTcpForwarding no"]));
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let said = desk.say("status").expect(1);
    assert!(said.out.contains("forbids forwarding"), "{}", said.out);
    let status = desk.status();
    assert_eq!(
        (&status["state"], &status["servers"][0]["path"]),
        (&"down".into(), &"forbidden".into())
    );
    desk.say("wait --timeout 0.5").expect(1);
    let ping = desk.say("ping --json 127.0.0.1:9").expect(1).json();
    assert_eq!(ping["culprit"], "far_side", "{ping}");
    let refused = desk.say("forward add -R 0:127.0.0.1:9").expect(1);
    assert!(refused.err.contains("cannot listen"), "{}", refused.err);
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_hangs_is_not_reported_up_whatever_it_has_carried() {
    let (desk, sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let mut idle = Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port());
    assert!(echoes(&mut idle));
    desk.say("wait").expect(0);
    let signal = |signal| sshd.children().into_iter().for_each(|pid| process::signal(pid, signal));
    // Another session does not help.
    wait::until("it is reported", || {
        signal(Signal::STOP);
        let told = desk.status();
        let is_told = told["state"] == "down" && told["servers"][0]["path"] != "proved";
        is_told && desk.say("wait --timeout 0").status == 1
    });
    signal(Signal::CONT);
    desk.say("wait").expect(0);
    desk.say("status -q").expect(0);
}

/// The pool is limited to two sessions, so the one with the slow reader has to serve others.
#[test]
#[ignore = "needs sshd"]
fn the_session_of_a_slow_reader_serves_while_the_other_hangs() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let (source, echo) = (Target::source(1 << 30), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &["--sessions", "2"]);
    let sessions = || {
        let servers = desk.status()["servers"].clone();
        servers[0]["sessions"].as_array().cloned().unwrap_or_default()
    };
    wait::until("there are two", || sessions().len() == 2);
    let mut slow = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
    slow.write_all(b"!").expect("sent");
    wait::until("it is known to be slow", || {
        sessions().iter().any(|session| session["slow_readers"] == 1)
    });
    // The process with the download has one more socket.
    let other = sshd.children().into_iter().min_by_key(|pid| process::sockets(*pid));
    let other = other.expect("two");
    process::signal(other, Signal::STOP);
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port());
    assert!(echoes(&mut client));
    process::signal(other, Signal::CONT);
}

#[test]
#[ignore = "needs sshd"]
fn two_programs_have_two_names() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let mut first = desk.start(&sshd.ssh_config(), &[]);
    let second = desk.start(&sshd.ssh_config(), &[]);
    let both = desk.say("status --json").expect(0);
    let named = |n: usize| {
        serde_json::from_str::<Value>(both.out.lines().nth(n).expect("two")).expect("JSON")
    };
    assert_eq!(
        (&named(0)["instance"]["name"], &named(1)["instance"]["name"]),
        (&HOST.into(), &format!("{HOST}-2").into())
    );
    let which = desk.say("ping").expect(2);
    assert!(which.err.contains(&format!("{HOST}, {HOST}-2")), "{}", which.err);
    desk.say(&format!("ping -n {HOST}-2")).expect(0);
    desk.say(&format!("-O check {HOST}")).expect(0);
    desk.say(&format!("-O exit {HOST}")).expect(0);
    assert!(first.wait().success());
    let left = desk.status();
    assert_eq!(left["instance"]["pid"], second.pid());
    desk.say(&format!("status {HOST}")).expect(3);
    let other = desk.directory.path().join("other.sock");
    let explicit = ["-S", other.to_str().expect("ASCII")];
    let third = desk.start(&sshd.ssh_config(), &explicit);
    desk.say(&format!("-O check -S {}", other.display())).expect(0);
    drop((second, third));
}

#[test]
#[ignore = "needs sshd, curl, setpriv"]
fn the_control_socket_admits_only_the_user_and_no_browser() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let socket = desk.socket(HOST);
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().expect("a directory"))), (0o600, 0o700));

    let ask = |fields: &[&str]| {
        let mut curl = command("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket"]).arg(&socket);
        for field in fields {
            curl.args(["-H", field]);
        }
        let output = curl.arg("http://localhost/v1/status").output().expect("curl");
        String::from_utf8(output.stdout).expect("ASCII")
    };
    assert_eq!(ask(&[]), "200");
    assert_eq!(ask(&["Host: evil.example"]), "421");
    assert_eq!(ask(&["Host: localhost:80"]), "421");
    assert_eq!(ask(&["Origin: http://localhost"]), "403");
    assert_eq!(ask(&["Referer: http://localhost/"]), "403");
    assert_eq!(ask(&["Sec-Fetch-Site: cross-site"]), "403");
    assert_eq!(ask(&["Sec-Fetch-Site: none"]), "200");

    // A process that bypasses the file modes is identified by its user id.
    if rustix::process::getuid().is_root() {
        for path in [desk.directory.path(), socket.parent().expect("a directory"), &socket] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).expect("ours");
        }
        let mut other = command("setpriv");
        other.args(["--reuid=65534", "--clear-groups", "curl", "-s", "--unix-socket"]).arg(&socket);
        let output = other.arg("http://localhost/v1/status").output().expect("setpriv");
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        // In a directory where others could create sockets, none is looked for.
        desk.say(&format!("status {HOST}")).expect(3);
    }

    let refused = desk.say(&format!("kill --all --nonsense {}", proxy.pid())).expect(2);
    assert!(refused.err.contains("nonsense"), "{}", refused.err);
}
