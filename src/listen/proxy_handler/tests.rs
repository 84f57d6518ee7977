use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::dial::DialError;
use crate::listen::testing::{HANG, Outcome, TestProxy, credentials, read_to_end, take};

mod anything;
mod many;

const SOCKS4: &[u8] = b"\x04\x01\x00\x50\xc0\x00\x02\x07me\0";
const SOCKS4A: &[u8] = b"\x04\x01\x00\x50\x00\x00\x00\x01me\0example.com\0";
const SOCKS5: &[u8] = b"\x05\x01\x00\x05\x01\x00\x03\x0bexample.com\x00\x50";
const CONNECT: &[u8] = b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n";
const GRANTED4: &str = "\0\x5a\0\0\0\0\0\0";
const GRANTED5: &str = "\x05\0\x05\0\0\x01\0\0\0\0\0\0";

#[tokio::test]
async fn early_data_goes_first_and_once_in_every_protocol() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for (request, protocol, answer) in [
        (SOCKS4, "socks4", GRANTED4),
        (SOCKS4A, "socks4a", GRANTED4),
        (SOCKS5, "socks5", GRANTED5),
        (CONNECT, "connect", "HTTP/1.1 200 Connection established\r\n"),
    ] {
        // More than the greeting's buffer holds.
        let early: Vec<u8> = (0..5000_u16).flat_map(u16::to_be_bytes).collect();
        let (mut client, task) = proxy.client().await;
        client.write_all(&[request, &early].concat()).await.expect("sent");
        let dialled = proxy.dialled().await;
        assert_eq!(dialled.request.protocol.to_string(), protocol);
        assert_eq!(&*dialled.request.listener, "test:1");
        let mut far = dialled.far();
        assert_eq!(take(&mut client, answer.len()).await, answer);
        client.write_all(b"late").await.expect("sent");
        client.shutdown().await.expect("open");
        let received = read_to_end(&mut far.stream).await;
        assert!(received == [early.as_slice(), b"late"].concat(), "{protocol}");
        far.send("answer after the client's end").await;
        drop(far);
        let rest = read_to_end(&mut client).await;
        assert!(rest.ends_with(b"answer after the client's end"), "{protocol}");
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for (request, answer) in [
        (SOCKS4, GRANTED4),
        (SOCKS4A, GRANTED4),
        (SOCKS5, GRANTED5),
        (CONNECT, "HTTP/1.1 200 Connection established\r\n"),
    ] {
        let (mut client, _task) = proxy.client().await;
        client.set_nodelay(true).expect("ours");
        for byte in request {
            client.write_all(&[*byte]).await.expect("sent");
            tokio::task::yield_now().await;
        }
        let mut far = proxy.dialled().await.far();
        assert_eq!(take(&mut client, answer.len()).await, answer);
        client.write_all(b"x").await.expect("sent");
        assert_eq!(take(&mut far.stream, 1).await, "x");
    }
}

#[tokio::test]
async fn even_an_optimistic_client_receives_the_failure() {
    let failure = DialError::ConnectionRefused;
    let proxy = TestProxy::new(Outcome::Fail(failure)).await;
    let early = vec![b'x'; 100_000];
    assert_eq!(proxy.ask(&[SOCKS4, &early].concat()).await, b"\0\x5b\0\0\0\0\0\0");
    assert_eq!(proxy.ask(&[SOCKS5, &early].concat()).await, b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0",);
    let refused = proxy.ask(&[b"\x05\x01\x00\x05\x02\0\x01".as_slice(), &early].concat()).await;
    assert!(refused.starts_with(b"\x05\0\x05"), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_resets_while_dialling_ends_the_dial() {
    for (request, early) in [(SOCKS5, ""), (SOCKS5, "early"), (CONNECT, ""), (CONNECT, "early")] {
        let token = Arc::new(());
        let mut proxy = TestProxy::new(Outcome::Hang(token.clone())).await;
        let (mut client, task) = proxy.client().await;
        client.write_all(request).await.expect("sent");
        client.write_all(early.as_bytes()).await.expect("sent");
        proxy.dialled().await;
        assert_eq!(Arc::strong_count(&token), 3, "the dial is in progress");
        ClientStream::from(client).reset();
        timeout(HANG, task).await.expect("over").expect("no panic");
        assert_eq!(Arc::strong_count(&token), 2, "the dial is over");
    }
}

#[tokio::test]
async fn a_client_that_half_closes_while_dialling_gets_its_answer() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for request in [SOCKS4, SOCKS5, CONNECT] {
        let (mut client, _task) = proxy.client().await;
        client.write_all(request).await.expect("sent");
        client.write_all(b"question").await.expect("sent");
        client.shutdown().await.expect("open");
        let mut far = proxy.dialled().await.far();
        assert_eq!(read_to_end(&mut far.stream).await, b"question");
        far.send("answer").await;
        drop(far);
        assert!(read_to_end(&mut client).await.ends_with(b"answer"));
    }
}

#[tokio::test]
async fn a_cut_is_a_reset() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    client.write_all(SOCKS5).await.expect("sent");
    let far = proxy.dialled().await.far();
    take(&mut client, GRANTED5.len()).await;
    far.cut();
    let error = client.read_u8().await.expect_err("not an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn unknown_protocols_are_closed() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\0", b"\r\n", b" GET", b"\xff"] {
        let (mut client, task) = proxy.client().await;
        client.write_all(bytes).await.expect("sent");
        timeout(HANG, task).await.expect("over").expect("no panic");
        // A reset, if bytes were unread, or EOF, but never an answer.
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert_eq!(answer, b"", "{bytes:?}");
    }
    proxy.no_dial();
}

#[tokio::test]
async fn a_greeting_has_a_deadline_whatever_was_sent() {
    let limits = GreetingLimits { deadline: Duration::from_millis(50), most: 100 };
    let mut proxy = TestProxy::with(Outcome::Connect, None, limits).await;
    let starts = [&b""[..], b"\x04", &SOCKS4A[..20], b"\x05", &SOCKS5[..9], b"G", &CONNECT[..50]];
    for start in starts {
        let (mut client, task) = proxy.client().await;
        client.write_all(start).await.expect("sent");
        timeout(HANG, task).await.expect("over").expect("no panic");
    }
    proxy.no_dial();
    // After the request, the deadline no longer applies: the relay continues.
    for request in [SOCKS5, CONNECT] {
        let (mut client, task) = proxy.client().await;
        client.write_all(request).await.expect("sent");
        let mut far = proxy.dialled().await.far();
        tokio::time::sleep(3 * limits.deadline).await;
        client.write_all(b"x").await.expect("sent");
        assert_eq!(take(&mut far.stream, 1).await, "x");
        assert!(!task.is_finished());
    }
}

#[tokio::test]
async fn a_flood_of_greetings_evicts_the_oldest() {
    let limits = GreetingLimits { deadline: HANG * 10, most: 2 };
    let mut proxy = TestProxy::with(Outcome::Connect, None, limits).await;
    let mut flood = Vec::new();
    for start in [&b"\x05"[..], b"CONN", b"", b"\x04\x01"] {
        let (mut client, task) = proxy.client().await;
        client.write_all(start).await.expect("sent");
        flood.push((client, task));
        // A task takes its slot when it first runs.
        tokio::task::yield_now().await;
    }
    for (_, task) in flood.drain(..2) {
        timeout(HANG, task).await.expect("over").expect("no panic");
    }
    let (mut client, _task) = proxy.client().await;
    client.write_all(SOCKS5).await.expect("sent");
    proxy.dialled().await.far();
    assert!(!flood[1].1.is_finished(), "a slot was free again");
}

#[tokio::test]
async fn shutdown_ends_greetings_and_keeps_relays() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let mut greeting = Vec::new();
    for start in [&b""[..], b"\x05", b"GET http"] {
        let (mut client, task) = proxy.client().await;
        client.write_all(start).await.expect("sent");
        greeting.push((client, task));
    }
    let mut relays = Vec::new();
    for request in [SOCKS5, CONNECT] {
        let (mut client, task) = proxy.client().await;
        client.write_all(request).await.expect("sent");
        relays.push((proxy.dialled().await.far(), client, task));
    }
    proxy.shutdown.cancel();
    for (_client, task) in greeting {
        timeout(HANG, task).await.expect("over").expect("no panic");
    }
    for (mut far, mut client, task) in relays {
        client.write_all(b"still here").await.expect("sent");
        assert_eq!(take(&mut far.stream, 10).await, "still here");
        assert!(!task.is_finished());
    }
}

#[tokio::test]
async fn with_a_password_only_its_users_are_served() {
    let limits = GreetingLimits::default();
    let mut proxy = TestProxy::with(Outcome::Connect, Some(credentials()), limits).await;
    assert_eq!(proxy.handler.protocols(), "socks5 http");
    assert_eq!(proxy.ask(SOCKS4).await, b"\0\x5b\0\0\0\0\0\0");
    assert_eq!(proxy.ask(SOCKS5).await, b"\x05\xff");
    let wrong = b"\x05\x01\x02\x01\x03ada\x05wrong";
    assert_eq!(proxy.ask(wrong).await, b"\x05\x02\x01\x01");
    proxy.no_dial();
    let (mut client, _task) = proxy.client().await;
    let right = [b"\x05\x01\x02\x01\x03ada\x06secret", &SOCKS5[3..]].concat();
    client.write_all(&right).await.expect("sent");
    assert_eq!(proxy.dialled().await.request.user.as_deref(), Some("ada"));
}
