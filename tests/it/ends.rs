//! The ends of connections: a cut is a reset, a half-close closes one direction, and nothing hangs.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::content::{Content, is_prefix};
use crate::support::link::{Direction, Fault, Link, Quality};
use crate::support::program::Sockeye;
use crate::support::scaled;
use crate::support::scripted::{Script, Scripted};
use crate::support::socks::{Answer, Protocol, connect, read_to_any_end};
use crate::support::sshd::Sshd;
use crate::support::target::{Target, reset};
use crate::support::wait;
use crate::support::web::Web;

#[test]
#[ignore = "needs sshd"]
fn a_cut_in_a_download_is_a_reset_and_never_an_end() {
    let (target, sshd) = (Target::source(DOWNLOAD), Sshd::start());
    let link = Link::to(sshd.port());
    let config = sshd.ssh_config_through(link.port());
    let proxy = Sockeye::with(&config, &["--sessions", "1", "-v"]);
    for round in 0..scaled(40, 1000) {
        let protocol = Protocol::ALL[round % 3];
        let mut client = protocol.open(proxy.address(), "127.0.0.1", target.port());
        link.plan(Direction::Down, somewhere(DOWNLOAD), Fault::Cut);
        begin(&mut client);
        let (bytes, ended) = read_to_any_end(&mut client);
        assert_cut(&ended, &format!("round {round}, {protocol:?}, {} bytes", bytes.len()));
        assert!(is_prefix(&bytes), "round {round}: wrong bytes");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_cut_in_a_plain_http_response_is_a_reset() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let link = Link::to(sshd.port());
    let proxy = Sockeye::single(&sshd.ssh_config_through(link.port()));
    let mut cuts = 0;
    for round in 0..scaled(10, 300) {
        let path = ["/closed", "/chunked", "/bytes"][round % 3];
        let url = web.url(&format!("{path}/{}", 2 * DOWNLOAD));
        // The answer shows that the session is up again.
        drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", web.port()));
        let mut client = connect(proxy.address());
        link.plan(Direction::Down, HEAD + somewhere(DOWNLOAD), Fault::Cut);
        let head = format!("Host: {}\r\nConnection: close\r\n\r\n", web.address());
        write!(client, "GET {url} HTTP/1.1\r\n{head}").expect("sent");
        let (bytes, ended) = read_to_any_end(&mut client);
        // A cut before the response allows a better answer than a reset.
        if bytes.starts_with(b"HTTP/1.1 502") {
            continue;
        }
        cuts += 1;
        assert_cut(&ended, &format!("round {round}, {path}, {} bytes", bytes.len()));
    }
    assert!(cuts > 0, "every cut came before the response");
}

#[test]
#[ignore = "needs sshd"]
fn a_flipped_byte_is_never_passed_on() {
    let (source, (sink, received)) = (Target::source(DOWNLOAD), Target::sink());
    let sshd = Sshd::start();
    let link = Link::to(sshd.port());
    let proxy = Sockeye::single(&sshd.ssh_config_through(link.port()));
    for round in 0..scaled(10, 300) {
        let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
        // Far enough from the end: if the flip hits the packet length, more bytes are needed to notice it.
        link.plan(Direction::Down, somewhere(DOWNLOAD / 2), Fault::Flip);
        begin(&mut client);
        let (bytes, ended) = read_to_any_end(&mut client);
        assert_cut(&ended, &format!("round {round}, {} bytes", bytes.len()));
        assert!(is_prefix(&bytes), "round {round}: a wrong byte reached the client");

        let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", sink.port());
        link.plan(Direction::Up, somewhere(DOWNLOAD), Fault::Flip);
        let sent = io::copy(&mut Content::of(2 * DOWNLOAD), &mut client);
        let ended = sent.and_then(|_| read_to_any_end(&mut client).1);
        assert!(ended.is_err(), "round {round}: the upload seemed to succeed");
        let bytes = received.recv_timeout(wait::LONG).expect("the target's end");
        assert!(is_prefix(&bytes), "round {round}: a wrong byte reached the target");
    }
}

#[test]
#[ignore = "needs sshd"]
fn the_client_may_end_first() {
    let (target, received) = Target::answer_after_end(HALF);
    let sshd = Sshd::start();
    let quality = Quality { delay: Duration::from_millis(20), rate: 0 };
    let link = Link::with(sshd.port(), quality);
    let proxy = Sockeye::single(&sshd.ssh_config_through(link.port()));
    for protocol in Protocol::ALL {
        let mut client = protocol.open(proxy.address(), "127.0.0.1", target.port());
        io::copy(&mut Content::of(HALF), &mut client).expect("sent");
        client.shutdown(Shutdown::Write).expect("half-closed");
        let (bytes, ended) = read_to_any_end(&mut client);
        ended.expect("a clean end");
        assert!(bytes.len() as u64 == HALF && is_prefix(&bytes), "{protocol:?}");
        let sum = received.recv_timeout(wait::LONG).expect("the target's sum");
        assert_eq!(sum, Content::of(HALF).sum(), "{protocol:?}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn the_target_may_end_first() {
    let (target, received) = Target::read_after_end();
    let sshd = Sshd::start();
    let proxy = Sockeye::single(&sshd.ssh_config());
    for protocol in Protocol::ALL {
        let mut client = protocol.open(proxy.address(), "127.0.0.1", target.port());
        assert_eq!(client.read(&mut [0]).expect("a clean end"), 0, "{protocol:?}");
        io::copy(&mut Content::of(HALF), &mut client).expect("sent after the target's end");
        client.shutdown(Shutdown::Write).expect("half-closed");
        let sum = received.recv_timeout(wait::LONG).expect("the target's sum");
        assert_eq!(sum, Content::of(HALF).sum(), "{protocol:?}");
    }
}

#[test]
#[ignore = "needs ssh"]
fn a_client_may_end_while_its_channel_opens() {
    let server = Scripted::start(Script::EchoAfter(Duration::from_millis(300)));
    let proxy = Sockeye::single(&server.ssh_config());
    for protocol in Protocol::ALL {
        let mut client = connect(proxy.address());
        let early = b"said before the answer";
        client
            .write_all(&[protocol.request("target.example", 80), early.to_vec()].concat())
            .expect("sent");
        client.shutdown(Shutdown::Write).expect("half-closed");
        let answered = protocol.read_answer(client).expect("an answer");
        let (bytes, ended) = read_to_any_end(&mut opened(answered));
        ended.expect("a clean end");
        assert_eq!(bytes, early, "{protocol:?}");
    }
}

#[test]
#[ignore = "needs ssh"]
fn a_close_ends_the_connection_with_or_without_eof() {
    for (script, length) in [
        (Script::Close, 0),
        (Script::SendAndClose(100_000), 100_000),
        (Script::SendAndEof(100_000), 100_000),
    ] {
        let server = Scripted::start(script);
        let proxy = Sockeye::single(&server.ssh_config());
        let mut client = Protocol::Socks5.open(proxy.address(), "target.example", 80);
        let (bytes, _) = read_to_any_end(&mut client);
        assert!(bytes.len() == length && is_prefix(&bytes), "{script:?}: {}", bytes.len());
        drop(client);
        wait::until("the channel is over on the server too", || server.seen().ended == 1);
    }
}

#[test]
#[ignore = "needs ssh"]
fn a_disconnect_by_the_server_is_a_cut() {
    let server = Scripted::start(Script::SendAndDisconnect(100_000, "going down"));
    let proxy = Sockeye::single(&server.ssh_config());
    for protocol in Protocol::ALL {
        let mut client = protocol.open(proxy.address(), "target.example", 80);
        begin(&mut client);
        let (bytes, ended) = read_to_any_end(&mut client);
        assert_cut(&ended, &format!("{protocol:?}"));
        assert!(is_prefix(&bytes), "{protocol:?}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn resets_at_random_bytes_leave_nothing_hanging() {
    const LENGTH: u64 = 300_000;
    let target = Target::reset(|| fastrand::u64(..LENGTH));
    let (source, sshd) = (Target::source(LENGTH), Sshd::start());
    let proxy = Sockeye::single(&sshd.ssh_config());
    let idle = sshd.sockets();
    for round in 0..scaled(200, 10_000) {
        let protocol = Protocol::ALL[round % 3];
        let mut client = protocol.open(proxy.address(), "127.0.0.1", target.port());
        begin(&mut client);
        let (bytes, _) = read_to_any_end(&mut client);
        assert!(is_prefix(&bytes), "round {round}");

        let mut client = protocol.open(proxy.address(), "127.0.0.1", source.port());
        begin(&mut client);
        let mut some = vec![0; somewhere(LENGTH)];
        client.read_exact(&mut some).expect("the first bytes");
        assert!(is_prefix(&some), "round {round}");
        reset(client).expect("an option");
    }
    wait::until("no connection is left on the server", || sshd.sockets() <= idle);
}

#[track_caller]
fn assert_cut(ended: &io::Result<()>, what: &str) {
    match ended {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("{what}: expected a reset, got {other:?}"),
    }
}

#[track_caller]
fn opened(answer: Answer) -> TcpStream {
    match answer {
        Answer::Open(stream) => stream,
        Answer::Refused(answer) => panic!("refused: {answer:?}"),
    }
}

/// Sends the word that the target waits for.
fn begin(client: &mut TcpStream) {
    client.write_all(b"!").expect("sent");
}

/// A random position before `end`.
fn somewhere(end: u64) -> usize {
    usize::try_from(fastrand::u64(..end)).expect("a place in memory")
}

/// More than the socket buffers and the initial channel window hold.
const DOWNLOAD: u64 = 8 << 20;
const HALF: u64 = 10 << 20;
/// More bytes than the channel confirmation and the response head take up on the SSH connection.
const HEAD: usize = 4096;
