//! A ping names the stage that is to blame.

use std::io;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::desk::Desk;
use crate::support::closed_port;
use crate::support::link::{Link, Quality};
use crate::support::resolver::{Resolver, SLOW};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::wait;

fn ping(desk: &Desk, destination: &str) -> Value {
    desk.say(&format!("ping --json {destination}")).json()
}

/// Pings until `culprit` is to blame: on a busy machine a round trip takes as long as on a full line.
fn blames(desk: &Desk, culprit: &str, destination: &str) -> Value {
    wait::until_ok(&format!("{culprit} is to blame"), || {
        let ping = ping(desk, destination);
        if ping["culprit"] == culprit { Ok(ping) } else { Err(ping.to_string()) }
    })
}

#[test]
#[ignore = "needs sshd, unshare, root"]
fn a_ping_names_the_stage_that_is_to_blame() {
    let desk = Desk::new();
    let culprit = |destination: &str| ping(&desk, destination);

    let Some(resolver) = Resolver::start() else { return };
    let mut sshd = Sshd::asking(resolver);
    let (echo, flood) = (Target::echo(), Target::flood());
    let proxy = desk.start(&sshd.ssh_config(), &["--sessions", "1"]);
    let refused = culprit(&format!("127.0.0.1:{}", closed_port()));
    assert_eq!(
        (&refused["culprit"], &refused["opened"]),
        (&"target".into(), &false.into()),
        "{refused}"
    );
    blames(&desk, "none", &format!("127.0.0.1:{}", echo.port()));
    let slow = blames(&desk, "far_side", &format!("{SLOW}:{}", echo.port()));
    assert_eq!(slow["opened"], true, "{slow}");

    let unread = Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port());
    wait::until("the client that does not read is to blame", || {
        let ping = culprit(&format!("127.0.0.1:{}", echo.port()));
        ping["culprit"] == "client"
            && ping["verdict"].as_str().is_some_and(|v| v.contains("does not keep up"))
    });
    drop(unread);
    sshd.stop();
    wait::until("it is gone", || desk.say("status -q").status == 1);
    let away = culprit(&format!("127.0.0.1:{}", echo.port()));
    assert_eq!((&away["culprit"], &away["opened"]), (&"session".into(), &false.into()), "{away}");
    drop(proxy);
}

#[test]
#[ignore = "needs sshd"]
fn a_full_line_is_blamed() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let (echo, flood) = (Target::echo(), Target::flood());
    let link =
        Link::with(sshd.port(), Quality { delay: Duration::from_millis(5), rate: 2_000_000 });
    let config = sshd.ssh_config_through(link.port());
    let proxy = desk.start(&config, &["--sessions", "1"]);
    let destination = format!("127.0.0.1:{}", echo.port());
    blames(&desk, "none", &destination);
    // A client that takes all that comes: what does not keep up is the line.
    let mut download = Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port());
    let reading = thread::spawn(move || io::copy(&mut download, &mut io::sink()));
    let blamed = blames(&desk, "line", &destination);
    let verdict = blamed["verdict"].as_str().expect("a sentence");
    assert!(verdict.starts_with("the line is full: a round trip of session "), "{verdict}");
    let remark = wait::until_some("the connection itself tells", || {
        let said = desk.say("connections --state relaying --json");
        let connection: Value = serde_json::from_str(said.out.lines().next()?).ok()?;
        connection["remark"].as_str().map(str::to_owned)
    });
    assert!(remark.starts_with("the line is full"), "{remark}");
    drop(proxy);
    let _ = reading.join().expect("no panic");
}
