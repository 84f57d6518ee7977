//! Responses that come before the request is complete.

use super::*;

const PUT: &str = "PUT http://example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
                   Expect: 100-continue\r\n\r\n";

/// RFC 9110 section 10.1.1: nothing is uploaded to a web server that has refused it.
#[tokio::test]
async fn a_final_response_replaces_a_100() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    say(&mut client, PUT).await;
    let mut far = proxy.dialled().await.far();
    assert!(far.head().await.contains("\r\nExpect: 100-continue\r\n"));
    far.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
    let (head, body) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");
    assert!(head.contains("connection: close\r\n"), "the content may never come: {head}");
    assert_eq!(body, "no");
    assert_eq!(read_to_end(&mut client).await, b"");
    assert_eq!(read_to_end(&mut far.stream).await, b"", "closed");
    drop(client);
    timeout(HANG, task).await.expect("over").expect("no panic");
}

/// A client that has begun to send may continue, while the response is completed.
#[tokio::test]
async fn an_early_response_is_completed_and_the_upload_continues() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for (length, end) in [("Content-Length: 5\r\n", "hello"), ("", "5\r\nhello\r\n0\r\n\r\n")] {
        let (mut client, task) = proxy.client().await;
        say(&mut client, &PUT.replace("Expect: 100-continue\r\n", "")).await;
        say(&mut client, "he").await;
        let mut far = proxy.dialled().await.far();
        far.head().await;
        far.send(&format!("HTTP/1.1 202 Accepted\r\n{length}\r\nhello")).await;
        if length.is_empty() {
            far.stream.shutdown().await.expect("open");
        }
        let answer = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
        assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{end}")), "{answer}");
        if !length.is_empty() {
            say(&mut client, "llo").await;
        }
        drop(client);
        if !length.is_empty() {
            assert_eq!(take(&mut far.stream, 5).await, "hello");
        }
        timeout(HANG, task).await.expect("over").expect("no panic");
    }
}

/// The web server has answered, and reads nothing more of the upload.
#[tokio::test]
async fn an_upload_ends_if_the_client_resets_it_after_the_response() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    say(&mut client, &PUT.replace("Expect: 100-continue\r\n", "").replace('5', "300000")).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    say(&mut client, &"x".repeat(200_000)).await;
    far.send(OK).await;
    response(&mut client).await;
    say(&mut client, &"x".repeat(100_000)).await;
    // It is buffered on the way.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    ClientStream::from(client).reset();
    timeout(HANG, task).await.expect("over").expect("no panic");
}

#[tokio::test]
async fn a_half_closed_client_without_a_response_is_abandoned() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    client.shutdown().await.expect("open");
    tokio::time::pause();
    timeout(HANG * 60, task).await.expect("over").expect("no panic");
    assert_eq!(read_to_end(&mut far.stream).await, b"");
}

#[tokio::test]
async fn a_response_survives_a_server_that_stops_reading() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let head = "PUT http://example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n";
    say(&mut client, head).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    drop(far);
    let content = "x".repeat(1 << 16);
    // It sends until it gets the response.
    while timeout(HANG, client.write_all(content.as_bytes())).await.expect("in time").is_ok() {
        let mut start = [0; 12];
        if client.peek(&mut start).await.is_ok_and(|length| length == start.len()) {
            break;
        }
    }
    let (head, body) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(body, "big");
}
