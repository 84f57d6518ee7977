//! A target reached directly: EOF and resets are as those of a channel, and no backlog is needed.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::channel::Direct;
use crate::registry::Connections;
use crate::request::Request;
use crate::stream::Socket;

/// A relay between a client and a directly reached target.
struct Short {
    client: Pipe,
    target: TcpStream,
    relayer: Relayer,
    relay: JoinHandle<Outcome>,
}

/// Both ends of a connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let near = TcpStream::connect(address).await.expect("it listens");
    let (far, _) = listener.accept().await.expect("it comes");
    (near, far)
}

async fn connected() -> (Direct, TcpStream) {
    let (near, target) = sockets().await;
    (Direct::new(Socket::Tcp(near)), target)
}

async fn short() -> Short {
    let (direct, target) = connected().await;
    let relayer = Relayer::new(BacklogLimits::default());
    let (client, end) = pipe::ends();
    let served = relayer.clone();
    let relay = tokio::spawn(async move { served.relay(end, Bytes::new(), direct).await });
    Short { client, target, relayer, relay }
}

/// The kernel still holds a part of the data when both ends are done.
#[tokio::test]
async fn a_client_that_reads_late_gets_everything() {
    let (direct, mut target) = connected().await;
    let (end, mut client) = sockets().await;
    socket2::SockRef::from(&end).set_send_buffer_size(1 << 20).expect("an open socket");
    let down = content(300_000);
    let relayer = Relayer::new(BacklogLimits::default());
    let relay =
        tokio::spawn(async move { relayer.relay(Socket::Tcp(end), Bytes::new(), direct).await });
    client.shutdown().await.expect("open");
    target.write_all(&down).await.expect("taken");
    drop(target);
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::Clean);
    let mut bytes = Vec::new();
    soon(client.read_to_end(&mut bytes)).await.expect("a clean end");
    assert!(bytes == down, "{} bytes", bytes.len());
}

fn reset(socket: TcpStream) {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("an open socket");
    drop(socket);
}

#[tokio::test]
async fn either_side_may_send_eof_first() {
    for client_first in [true, false] {
        let Short { mut client, mut target, relay, .. } = short().await;
        let (up, down) = (content(300_000), content(500_000));
        for client_s_turn in [client_first, !client_first] {
            let mut seen = Vec::new();
            if client_s_turn {
                let sending = async {
                    client.write_all(&up).await.expect("taken");
                    client.shutdown().await.expect("half-closed");
                };
                let (read, ()) =
                    soon(async { tokio::join!(target.read_to_end(&mut seen), sending) }).await;
                read.expect("a clean end");
                assert!(seen == up, "{} bytes", seen.len());
            } else {
                let sending = async {
                    target.write_all(&down).await.expect("taken");
                    target.shutdown().await.expect("half-closed");
                };
                let (read, ()) =
                    soon(async { tokio::join!(client.read_to_end(&mut seen), sending) }).await;
                read.expect("a clean end");
                assert!(seen == down, "{} bytes", seen.len());
            }
        }
        drop((client, target));
        assert_eq!(soon(relay).await.expect("no panic"), Outcome::Clean);
    }
}

#[tokio::test]
async fn a_reset_by_the_target_is_a_cut() {
    let Short { mut client, mut target, relay, .. } = short().await;
    target.write_all(b"half").await.expect("taken");
    soon(client.read_exact(&mut [0; 4])).await.expect("it arrives");
    reset(target);
    let (rest, ended) = read_all(&mut client).await;
    assert!(rest.is_empty());
    assert_reset(&ended);
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::Cut);
}

/// The target has sent everything, and stops reading as well.
#[tokio::test]
async fn a_reset_after_the_target_s_eof_leaves_the_response_intact() {
    let Short { mut client, mut target, relay, .. } = short().await;
    target.write_all(b"whole").await.expect("taken");
    target.shutdown().await.expect("half-closed");
    let (bytes, ended) = read_all(&mut client).await;
    ended.expect("a clean end");
    assert_eq!(bytes, b"whole");
    reset(target);
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::Cut);
}

#[tokio::test]
async fn a_killed_connection_is_distinguished_from_a_cut() {
    let (direct, _target) = connected().await;
    let connections = Connections::default();
    let tracked = connections.begin(&Request::for_test("web.example:80"));
    let connection = Arc::clone(tracked.connection());
    let channel = Channel::from(direct).tracked_by(tracked);
    let mut client = Relayer::new(BacklogLimits::default()).pipe(channel);
    connection.kill();
    let (_, ended) = read_all(&mut client).await;
    assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::ConnectionAborted));
    until("the end is recorded", || connections.count() == 0).await;
    assert_eq!(connection.outcome(), Some(Outcome::Killed));
}

#[tokio::test]
async fn a_client_that_disconnects_resets_the_target() {
    let Short { mut client, mut target, relay, .. } = short().await;
    client.write_all(b"half").await.expect("taken");
    soon(target.read_exact(&mut [0; 4])).await.expect("it arrives");
    client.reset_on_drop();
    drop(client);
    let error = soon(target.read_to_end(&mut Vec::new())).await.expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::ClientGone);
}

/// A relay whose client leaves before it has read everything asks for the end of a channel that has ended.
#[tokio::test]
async fn nothing_comes_after_the_end() {
    for end in [Some(Incoming::Close), None] {
        let (direct, mut target) = connected().await;
        let (mut reader, writer, _) = Channel::from(direct).split();
        target.shutdown().await.expect("half-closed");
        assert_eq!(soon(reader.recv()).await, Some(Incoming::Eof));
        if end.is_some() {
            writer.send_eof().await.expect("half-closed");
        } else {
            reset(target);
        }
        assert_eq!(soon(reader.recv()).await, end);
        assert_eq!(soon(reader.recv()).await, None);
    }
}

#[tokio::test]
async fn a_slow_client_slows_its_target_and_uses_no_memory() {
    let Short { mut client, mut target, relayer, relay } = short().await;
    let all = content(32 << 20);
    let sending = tokio::spawn({
        let all = all.clone();
        async move {
            target.write_all(&all).await.expect("taken eventually");
            target
        }
    });
    until("some data is queued", || relayer.memory.used() > 0).await;
    sleep(Duration::from_millis(300)).await;
    assert!(!sending.is_finished(), "TCP pushes back");
    assert!(relayer.memory.used() < 1 << 20, "{} bytes are queued", relayer.memory.used());
    assert_eq!(relayer.disk.used(), 0);
    let mut seen = vec![0; all.len()];
    soon(client.read_exact(&mut seen)).await.expect("all of it");
    assert!(seen == all);
    drop((client, sending.await.expect("no panic")));
    soon(relay).await.expect("no panic");
    assert_eq!(relayer.memory.used(), 0);
}
