//! The loss, the stall and the return of a session.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use crate::support::content::{Content, is_prefix};
use crate::support::curl::Curl;
use crate::support::link::{Link, Quality};
use crate::support::program::Sockeye;
use crate::support::rude::Rude;
use crate::support::scripted::{Script, Scripted};
use crate::support::socks::{Protocol, read_to_any_end};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::web::Web;
use crate::support::{process, scaled, wait};

#[test]
#[ignore = "needs sshd, curl"]
fn a_killed_sshd_is_an_error_to_curl() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    // More than the sockets, the windows and the backlog hold while curl's output is not read.
    let length = 256 << 20;
    for round in 0..scaled(30, 100) {
        let (scheme, path) =
            [("socks5h", "closed"), ("http", "closed"), ("http", "chunked")][round % 3];
        let mut curl = Curl::through(&format!("{scheme}://{}", proxy.address()))
            .start(&web.named_url(&format!("/{path}/{length}")));
        let mut output = curl.stdout.take().expect("a pipe");
        let mut bytes = vec![0; 64 * 1024];
        output.read_exact(&mut bytes).expect("the download begins");
        sshd.kill_children();
        output.read_to_end(&mut bytes).expect("the rest");
        let status = curl.wait().expect("curl");
        assert!(!status.success(), "round {round}: curl takes {} bytes for all", bytes.len());
        assert!(is_prefix(&bytes), "round {round}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_lost_session_comes_back_by_itself() {
    let (target, sshd) = (Target::source(1000), Sshd::start());
    let _proxy = Sockeye::start(&sshd.ssh_config());
    for round in 1..=3 {
        wait::until("somebody logs in", || {
            sshd.log().matches("Accepted publickey").count() >= round
        });
        sshd.kill_children();
    }
    assert_eq!(target.connections(), 0, "nobody asked for anything");
}

#[test]
#[ignore = "needs sshd"]
fn a_request_made_meanwhile_is_served() {
    let (target, mut sshd) = (Target::echo(), Sshd::start());
    let proxy = Sockeye::with(&sshd.ssh_config(), &["-v"]);
    for protocol in Protocol::ALL {
        sshd.kill_children();
        drop(protocol.open(proxy.address(), "127.0.0.1", target.port()));
    }
    sshd.stop();
    thread::scope(|scope| {
        let asked: Vec<_> = Protocol::ALL
            .map(|protocol| {
                let (address, port) = (proxy.address(), target.port());
                scope.spawn(move || drop(protocol.open(address, "127.0.0.1", port)))
            })
            .into();
        thread::sleep(Duration::from_secs(1));
        assert!(asked.iter().all(|request| !request.is_finished()), "they wait");
        sshd.start_again();
    });
    // The target counts a connection when it accepts it, which may be after the confirmation.
    wait::until("each target was dialled", || target.connections() >= 6);
    assert_eq!(target.connections(), 6, "each target was dialled once");
}

#[test]
#[ignore = "needs sshd"]
fn a_silent_link_is_noticed() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let link = Link::to(sshd.port());
    let config = sshd.ssh_config_through(link.port());
    let alive = ["-o", "ServerAliveInterval=1", "-o", "ConnectTimeout=2"];
    let proxy = Sockeye::with(&config, &alive);
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
    link.hold();
    wait::until("a new session is tried", || link.connections() > 1);
    let (_, ended) = read_to_any_end(&mut client);
    assert!(ended.is_err(), "the old connection ended as if the target had ended it");
    link.release();
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port()));
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_stalls_costs_a_deadline_and_nothing_else() {
    thread::scope(|scope| {
        for rude in Rude::ALL {
            scope.spawn(move || survive(rude));
        }
    });
}

/// Loses the session to a server that stalls, and recovers it.
fn survive(rude: Rude) {
    let (target, stalling, sshd) = (Target::echo(), rude.start(), Sshd::start());
    let link = Link::to(sshd.port());
    let config = sshd.ssh_config_through(link.port());
    let proxy = Sockeye::with(&config, &["--sessions", "1", "-o", "ConnectTimeout=1"]);
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port()));
    let idle = process::descriptors(proxy.pid());

    link.lead_to(stalling.port());
    link.cut();
    let tries = scaled(3, 20);
    for count in 1..=tries {
        wait::until("it tries again", || stalling.connections() >= count);
    }
    link.lead_to(sshd.port());
    wait::until("the session is back", || sshd.log().matches("Accepted publickey").count() >= 2);
    drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port()));
    wait::until(&format!("{rude:?} leaves no descriptor"), || {
        process::descriptors(proxy.pid()) <= idle
    });
}

#[test]
#[ignore = "needs ssh"]
fn unrequested_channels_are_refused() {
    let server = Scripted::intruding(Script::SendAndEof(1000));
    let proxy = Sockeye::with(&server.ssh_config(), &["--sessions", "1", "-v"]);
    wait::until("the server has tried each kind", || {
        server.seen().accepted.len() + server.seen().refused.len() >= 6
    });
    assert_eq!(server.seen().accepted, [""; 0]);
    let mut client = Protocol::Socks5.open(proxy.address(), "target.example", 80);
    let (bytes, ended) = read_to_any_end(&mut client);
    ended.expect("the session goes on");
    assert_eq!(bytes, Content::of(1000).bytes());
    wait::until("there is one session at a time", || {
        server.seen().sessions == 1 + proxy.replaced()
    });
    // One line for all of them of a session, so soon one after the other.
    let told = proxy.log().matches(UNASKED).count();
    assert!((1..=server.seen().sessions).contains(&told), "{}", proxy.log());
}

#[test]
#[ignore = "needs ssh"]
fn a_server_that_floods_us_with_channels_is_disconnected() {
    let server = Scripted::flooding(Script::Ignore);
    let proxy = Sockeye::start(&server.ssh_config());
    proxy.wait_for_log("channels that nobody asked for");
    let (seen, log) = (server.seen(), proxy.log());
    assert_eq!(seen.accepted, [""; 0]);
    assert!(seen.refused.len() >= 999, "{}", seen.refused.len());
    assert!(log.matches(UNASKED).count() <= 2 * seen.sessions, "{log}");
}

/// The log message for channels that the server opens unasked.
const UNASKED: &str = "refused a channel that the server opened unasked";

/// An immediate accept tells nothing about the server behind it, and the window of the first session
/// would make a download slow.
#[test]
#[ignore = "needs sshd"]
fn a_session_whose_window_is_too_small_is_replaced() {
    let (target, sshd) = (Target::source(1 << 20), Sshd::start());
    let link = Link::with(sshd.port(), Quality { delay: Duration::from_millis(4), rate: 0 });
    let config = sshd.ssh_config_through(link.port());
    // A busy machine may take the server for a distant one.
    let proxy = wait::until_some("the server is taken for a near one", || {
        let proxy = Sockeye::with(&config, &["--sessions", "1", "-v"]);
        (windows(&proxy.log()).first() == Some(&(256 << 10))).then_some(proxy)
    });
    proxy.wait_for_log("a session is replaced by a newer one");
    assert_eq!(windows(&proxy.log())[1], 2 << 20, "{}", proxy.log());
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
    client.write_all(b"!").expect("sent");
    let (bytes, ended) = read_to_any_end(&mut client);
    ended.expect("a clean end");
    assert_eq!(bytes.len(), 1 << 20);
}

/// A replaced session opens no more channels, but its end still cuts connections.
#[test]
#[ignore = "needs sshd"]
fn the_loss_of_a_replaced_session_is_logged() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let link = Link::with(sshd.port(), Quality { delay: Duration::from_millis(4), rate: 0 });
    let config = sshd.ssh_config_through(link.port());
    let (proxy, mut held) = wait::until_some("a near one is in use", || {
        let proxy = Sockeye::with(&config, &["--sessions", "1", "-v"]);
        let held = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
        (windows(&proxy.log()) == [256 << 10]).then_some((proxy, held))
    });
    proxy.wait_for_log("a session is replaced by a newer one");
    link.cut();
    held.read_exact(&mut [0]).expect_err("it was cut");
    wait::until("both are logged", || proxy.log().matches("lost a session").count() == 2);
}

/// The windows of all sessions so far, in bytes.
fn windows(log: &str) -> Vec<u32> {
    let window = |line: &str| line.split_once(" window=")?.1.split(' ').next()?.parse().ok();
    log.lines().filter_map(window).collect()
}
