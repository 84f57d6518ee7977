//! WebSocket and other protocols to which a connection switches.

use super::*;

/// Switches the connection to another protocol, and returns its far side.
async fn switched(proxy: &mut TestProxy, client: &mut TcpStream) -> Far {
    let fields = "\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    say(client, &GET.replace("\r\n\r\n", fields)).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(&format!("HTTP/1.1 101 Switching Protocols{fields}")).await;
    head(client).await;
    far
}

#[tokio::test]
async fn a_web_socket_passes_with_early_data_both_ways() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    let request = "GET http://example.com/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly";
    say(&mut client, request).await;
    let mut far = proxy.dialled().await.far();
    let sent = far.head().await;
    assert!(sent.contains("Connection: Upgrade\r\n") && sent.contains("Upgrade: websocket\r\n"));
    far.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: a\r\n\r\nfirst",
    )
    .await;
    let received = head(&mut client).await;
    assert!(received.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{received}");
    assert!(received.contains("Connection: Upgrade\r\n"), "{received}");
    assert!(received.contains("Upgrade: websocket\r\n"), "{received}");
    assert!(received.contains("Sec-WebSocket-Accept: a\r\n"), "{received}");
    assert_eq!(take(&mut client, 5).await, "first");
    assert_eq!(take(&mut far.stream, 5).await, "early");
    say(&mut client, "ping").await;
    assert_eq!(take(&mut far.stream, 4).await, "ping");
    client.shutdown().await.expect("open");
    assert_eq!(read_to_end(&mut far.stream).await, b"");
    far.send("last words").await;
    drop(far);
    assert_eq!(read_to_end(&mut client).await, b"last words");
    timeout(HANG, task).await.expect("over").expect("no panic");
}

#[tokio::test]
async fn a_web_socket_that_is_cut_is_a_reset() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let far = switched(&mut proxy, &mut client).await;
    far.cut();
    let error = client.read_u8().await.expect_err("not an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Its data waits for room on the way to the web server, so that nothing is read from it.
#[tokio::test]
async fn a_web_socket_that_its_client_resets_ends() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    let mut far = switched(&mut proxy, &mut client).await;
    say(&mut client, &"x".repeat(1 << 20)).await;
    take(&mut far.stream, 1).await;
    ClientStream::from(client).reset();
    timeout(HANG, task).await.expect("over").expect("no panic");
}

#[tokio::test]
async fn a_declined_upgrade_is_an_ordinary_response() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, &GET.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
        .await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(OK).await;
    assert_eq!(response(&mut client).await.1, "hello");
    say(&mut client, GET).await;
    assert_eq!(far.head().await, GET_AS_SENT);
}
