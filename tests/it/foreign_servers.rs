//! Servers other than OpenSSH, all put through the same exercises.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use crate::support::content::{Content, Sum};
use crate::support::foreign::{Foreign, Make, PASSWORD};
use crate::support::login::HOST;
use crate::support::person::Person;
use crate::support::program::{Sockeye, program};
use crate::support::socks::{Answer, Protocol, connect};
use crate::support::target::Target;
use crate::support::wait::{self, LONG};
use crate::support::{free_port, process, scaled};

/// The SOCKS5 replies for a target that refuses, and for a name that does not exist.
struct Told {
    refused: u8,
    unresolvable: u8,
}

fn exercise(make: Make, told: &Told) {
    let Some(mut server) = Foreign::start(make) else { return };
    let echo = Target::echo();
    let forward = free_port();
    let local = format!("127.0.0.1:{forward}:127.0.0.1:{}", echo.port());
    let remote = format!("127.0.0.1:0:127.0.0.1:{}", echo.port());
    let proxy = Sockeye::with(&server.ssh_config(&[]), &["-L", &local, "-R", &remote]);

    short_connections(&proxy, &echo);
    transfers(&proxy);
    half_closes(&proxy);
    failures(&proxy, told);
    let mut stream = connect(SocketAddr::from((Ipv4Addr::LOCALHOST, forward)));
    assert_eq!(echoed(&mut stream).expect("-L"), WORDS);
    let port = wait::until_some("the server listens", || remote_port(&proxy.log()));
    let mut stream = connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    assert_eq!(echoed(&mut stream).expect("-R"), WORDS);
    // There are three listeners, and the sessions.
    wait::until("nothing is held", || process::sockets(proxy.pid()) < 3 + 8 + SPARE);

    server.stop();
    server.start_again();
    wait::until("the server is used again", || reaches(&proxy, &echo));
    drop(proxy);
    by_password(&server, &echo);
}

fn reaches(proxy: &Sockeye, echo: &Target) -> bool {
    match Protocol::Socks5.ask(proxy.address(), "127.0.0.1", echo.port()) {
        Ok(Answer::Open(mut stream)) => there_and_back(&mut stream),
        Ok(Answer::Refused(_)) | Err(_) => false,
    }
}

/// Exchanges that end when the client leaves, which works even with a server that closes both directions at once.
fn short_exchanges(proxy: &Sockeye, echo: &Target) {
    for turn in 0..scaled(60, 200) {
        let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port());
        assert!(there_and_back(&mut stream), "turn {turn}");
    }
    wait::until("nothing is held", || process::sockets(proxy.pid()) < 2 + 8 + SPARE);
}

/// Whether an echo returns what it is sent.
fn there_and_back(stream: &mut TcpStream) -> bool {
    let mut back = vec![0; WORDS.len()];
    let _ = stream.set_read_timeout(Some(LONG));
    let sent = stream.write_all(WORDS);
    sent.and_then(|()| stream.read_exact(&mut back)).is_ok() && back == WORDS
}

fn short_connections(proxy: &Sockeye, echo: &Target) {
    for turn in 0..scaled(60, 200) {
        let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port());
        assert_eq!(echoed(&mut stream).expect("a clean end"), WORDS, "turn {turn}");
    }
}

/// Transfers in both directions, with the server's own rekeying in between if it does any.
fn transfers(proxy: &Sockeye) {
    let length = scaled(6 << 20, 50 << 20);
    let source = Target::source(length);
    let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
    stream.write_all(b"x").expect("a connection");
    assert_eq!(Sum::of(&stream).expect("a clean end"), Content::of(length).sum());
    let (sums, received) = Target::sums();
    let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", sums.port());
    io::copy(&mut Content::of(length), &mut stream).expect("a connection");
    stream.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(received.recv_timeout(LONG).expect("all of it"), Content::of(length).sum());
}

fn half_closes(proxy: &Sockeye) {
    let (target, received) = Target::answer_after_end(LENGTH);
    let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
    io::copy(&mut Content::of(LENGTH), &mut stream).expect("a connection");
    stream.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(received.recv_timeout(LONG).expect("all of it"), Content::of(LENGTH).sum());
    assert_eq!(Sum::of(&stream).expect("a clean end"), Content::of(LENGTH).sum());

    let (target, received) = Target::read_after_end();
    let mut stream = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
    assert_eq!(stream.read(&mut [0]).expect("the target's end"), 0);
    io::copy(&mut Content::of(LENGTH), &mut stream).expect("it still reads");
    stream.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(received.recv_timeout(LONG).expect("all of it"), Content::of(LENGTH).sum());
}

fn failures(proxy: &Sockeye, told: &Told) {
    let code = |host: &str, port| Protocol::Socks5.refusal(proxy.address(), host, port)[1];
    assert_eq!(code("127.0.0.1", free_port()), told.refused, "{}", proxy.log());
    assert_eq!(code("nowhere.invalid", 80), told.unresolvable, "{}", proxy.log());
}

fn by_password(server: &Foreign, echo: &Target) {
    let person = Person::with(&[PASSWORD]);
    let config = server.ssh_config(&["PubkeyAuthentication no"]);
    let mut command = program();
    command.arg("-F").arg(config).args(["-D", "127.0.0.1:0", HOST]);
    person.answers(&mut command);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("connected to ");
    assert!(reaches(&proxy, echo), "{}", proxy.log());
    assert_eq!(person.asked().len(), 1);
}

/// Everything that an echo sends back.
fn echoed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(WORDS)?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    Ok(back)
}

/// The port that the server chose, from the program's log.
fn remote_port(log: &str) -> Option<u16> {
    let of_host = format!(" of {HOST}");
    let of_server = |line: &&str| line.contains("listening on ") && line.contains(&of_host);
    let line = log.lines().find(of_server)?;
    let (_, place) = line.split_once("listening on ")?;
    place.split(' ').next()?.rsplit(':').next()?.parse().ok()
}

#[test]
#[ignore = "needs dropbear"]
fn dropbear() {
    exercise(Make::Dropbear, &Told { refused: 5, unresolvable: 4 });
}

#[test]
#[ignore = "needs asyncssh"]
fn asyncssh() {
    exercise(Make::Asyncssh, &Told { refused: 5, unresolvable: 4 });
}

/// This server has one text for all failures, "Connect failed".
#[test]
#[ignore = "needs paramiko"]
fn paramiko() {
    exercise(Make::Paramiko, &Told { refused: 1, unresolvable: 1 });
}

/// This server gives no reason.
#[test]
#[ignore = "needs node, ssh2"]
fn ssh2() {
    exercise(Make::Ssh2, &Told { refused: 1, unresolvable: 1 });
}

/// This server passes on the error texts of Go.
#[test]
#[ignore = "needs go"]
fn go() {
    let Some(mut server) = Foreign::start(Make::Go) else { return };
    let echo = Target::echo();
    let remote = format!("127.0.0.1:0:127.0.0.1:{}", echo.port());
    let proxy = Sockeye::with(&server.ssh_config(&[]), &["-R", &remote]);
    short_exchanges(&proxy, &echo);
    transfers(&proxy);
    failures(&proxy, &Told { refused: 5, unresolvable: 4 });
    let port = wait::until_some("the server listens", || remote_port(&proxy.log()));
    assert!(there_and_back(&mut connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))));
    server.stop();
    server.start_again();
    wait::until("the server is used again", || reaches(&proxy, &echo));
    drop(proxy);
    by_password(&server, &echo);
}

/// This server opens a channel before it connects, so a refused target is not an open failure. It loses what it
/// cannot send at once, with `ssh` too, so there are no large transfers.
#[test]
#[ignore = "needs libssh"]
fn libssh() {
    let Some(server) = Foreign::start(Make::Libssh) else { return };
    let (echo, person) = (Target::echo(), Person::with(&["pwd"]));
    let config = server.ssh_config(&["User user", "ConnectionAttempts 10"]);
    let mut command = program();
    command.arg("-F").arg(config).args(["-D", "127.0.0.1:0", "--sessions", "1", HOST]);
    person.answers(&mut command);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("connected to ");
    short_exchanges(&proxy, &echo);
    assert_eq!(person.asked().len(), 1, "{}", proxy.log());
}

/// This server has no forwarding, which is reported once and plainly.
#[test]
#[ignore = "needs tinysshd"]
fn tinyssh() {
    let Some(server) = Foreign::start(Make::Tinyssh) else { return };
    let proxy = Sockeye::start(&server.ssh_config(&[]));
    proxy.wait_for_log("connected to ");
    for _ in 0..3 {
        let answer = Protocol::Socks5.refusal(proxy.address(), "127.0.0.1", 80);
        assert_eq!(answer[1], 2, "{answer:?}: {}", proxy.log());
    }
    let log = proxy.log();
    assert_eq!(log.matches("it may have no forwarding at all").count(), 1, "{log}");
    assert!(log.contains(&format!("the server {HOST} does not open a connection")), "{log}");
}

const WORDS: &[u8] = b"there and back";
const LENGTH: u64 = 300_000;
/// Extra sockets that may exist for a moment, from an interface query or a ping.
const SPARE: usize = 8;
