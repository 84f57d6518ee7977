use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dial::{DialError, MissingSession};
use crate::listen::greeting::GreetingLimits;
use crate::listen::stream::ClientStream;
use crate::listen::testing::{Far, HANG, Outcome, TestProxy, credentials, head, read_to_end, take};

mod early;
mod properties;
mod refused;
mod table;
mod turns;
mod upgrades;

const GET: &str = "GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n";
const GET_AS_SENT: &str = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn say(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).await.expect("sent");
}

/// Has a request answered, and returns the far side of its connection, which is kept.
async fn kept(proxy: &mut TestProxy, client: &mut TcpStream) -> Far {
    say(client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(OK).await;
    response(client).await;
    far
}

/// Reads a response with a Content-Length.
async fn response(client: &mut TcpStream) -> (String, String) {
    let head = head(client).await;
    let length = head
        .lines()
        .map(str::to_ascii_lowercase)
        .find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned))
        .expect("a length")
        .parse()
        .expect("a number");
    let body = take(client, length).await;
    (head, body)
}

#[tokio::test]
async fn one_connection_serves_one_destination_after_another() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, GET).await;
    let dialled = proxy.dialled().await;
    assert_eq!(dialled.request.target.to_string(), "example.com:80");
    let mut far = dialled.far();
    for round in 0..3 {
        if round > 0 {
            say(&mut client, GET).await;
        }
        assert_eq!(far.head().await, GET_AS_SENT);
        far.send(OK).await;
        let (head, body) = response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(body, "hello");
    }
    proxy.no_dial();
    say(&mut client, &GET.replace("example.com", "[::1]:81")).await;
    let mut second = proxy.dialled().await.far();
    assert_eq!(second.head().await, GET_AS_SENT.replace("example.com", "[::1]:81"));
    assert_eq!(read_to_end(&mut far.stream).await, b"", "the first one was closed");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, &[GET, &GET.replace("/a", "/b")].concat()).await;
    let mut far = proxy.dialled().await.far();
    for (path, body) in [("/a", "first"), ("/b", "other")] {
        assert_eq!(far.head().await, GET_AS_SENT.replace("/a", path));
        far.send(&OK.replace("hello", body)).await;
        assert_eq!(response(&mut client).await.1, body);
    }
}

#[tokio::test]
async fn content_streams_both_ways_with_trailers() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let request = "POST http://example.com/ HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\
                   Connection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    say(&mut client, request).await;
    let mut far = proxy.dialled().await.far();
    let sent = far.head().await;
    assert!(sent.contains("Transfer-Encoding: chunked\r\n"), "{sent}");
    assert!(sent.contains("Connection: TE\r\n") && sent.contains("TE: trailers\r\n"), "{sent}");
    // Each chunk arrives before the next one is sent: nothing is buffered on the way.
    for piece in ["5\r\nhello\r\n", "3\r\nyou\r\n", "0\r\nX-Sum: 1\r\n\r\n"] {
        say(&mut client, piece).await;
        let passed = take(&mut far.stream, piece.len()).await;
        assert_eq!(passed.to_lowercase(), piece.to_lowercase());
    }
    far.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n").await;
    let received = head(&mut client).await;
    assert!(received.contains("Transfer-Encoding: chunked\r\n"), "{received}");
    for piece in ["5\r\nhello\r\n", "3\r\nyou\r\n", "0\r\nx-sum: 2\r\n\r\n"] {
        far.send(piece).await;
        assert_eq!(take(&mut client, piece.len()).await.to_lowercase(), piece);
    }
}

#[tokio::test]
async fn a_get_with_content_keeps_it() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let content = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    say(&mut client, &GET.replace("\r\n\r\n", &format!("\r\n{content}"))).await;
    let mut far = proxy.dialled().await.far();
    assert!(far.head().await.contains("Transfer-Encoding: chunked\r\n"));
    assert_eq!(take(&mut far.stream, 12).await, "2\r\nhi\r\n0\r\n\r\n");
}

#[tokio::test]
async fn an_upload_that_waits_receives_a_100() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let request = "PUT http://example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
                   Expect: 100-continue\r\n\r\n";
    say(&mut client, request).await;
    let mut far = proxy.dialled().await.far();
    let sent = far.head().await;
    let fields = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    assert!(sent.contains(fields), "{sent}");
    // Interim responses are sent by the web server (RFC 9110 section 15.2).
    far.send("HTTP/1.1 100 Continue\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
    say(&mut client, "hello").await;
    assert_eq!(take(&mut far.stream, 5).await, "hello");
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    far.send(hints).await;
    assert_eq!(head(&mut client).await, hints);
    far.send(OK).await;
    assert_eq!(response(&mut client).await.1, "hello");
}

#[tokio::test]
async fn the_response_to_head_has_a_length_and_no_content() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, &GET.replace("GET", "HEAD")).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    assert!(head(&mut client).await.contains("Content-Length: 1234\r\n"));
    say(&mut client, GET).await;
    assert_eq!(far.head().await, GET_AS_SENT, "the connection is in step");
}

#[tokio::test]
async fn an_http_1_0_client_gets_what_it_understands() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, "GET http://example.com/a HTTP/1.0\r\n\r\n").await;
    let mut far = proxy.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT);
    far.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    let all = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("\r\n\r\nhello"), "{all}");
    assert!(!all.to_lowercase().contains("transfer-encoding"), "{all}");
}

#[tokio::test]
async fn a_response_without_a_length_ends_with_its_connection() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.0 200 OK\r\n\r\nhello").await;
    drop(far);
    let received = head(&mut client).await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
    assert_eq!(take(&mut client, 15).await, "5\r\nhello\r\n0\r\n\r\n");
    say(&mut client, GET).await;
    proxy.dialled().await.far();
}

#[tokio::test]
async fn an_incomplete_response_is_a_reset() {
    let framings = [
        ("HTTP/1.1", "Content-Length: 100"),
        ("HTTP/1.1", "Transfer-Encoding: chunked"),
        ("HTTP/1.1", "X: until the end"),
        ("HTTP/1.0", "X: until the end"),
    ];
    for (version, framing) in framings {
        let mut proxy = TestProxy::new(Outcome::Connect).await;
        let (mut client, task) = proxy.client().await;
        say(&mut client, &GET.replace("HTTP/1.1", version)).await;
        let mut far = proxy.dialled().await.far();
        far.head().await;
        far.send(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")).await;
        head(&mut client).await;
        far.send("5\r\nhello\r\n").await;
        take(&mut client, 5).await;
        far.cut();
        let mut rest = Vec::new();
        let error = timeout(HANG, client.read_to_end(&mut rest)).await.expect("in time");
        let error = error.expect_err("not a clean end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{version} {framing}");
        assert!(!rest.ends_with(b"0\r\n\r\n"));
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_silently() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let far = kept(&mut proxy, &mut client).await;
    // It is closed while idle.
    drop(far);
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT);
    far.send(OK).await;
    response(&mut client).await;
    // It is closed when the next request has been sent.
    say(&mut client, GET).await;
    far.head().await;
    drop(far);
    let mut far = proxy.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT);
    far.send(OK).await;
    response(&mut client).await;
    // A request that may have had an effect is not repeated.
    say(&mut client, &GET.replace("GET", "POST")).await;
    far.head().await;
    drop(far);
    let (head, page) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    assert!(head.contains("proxy-status: sockeye; error=connection_terminated;"), "{head}");
    assert!(page.contains("Asked through the SSH server test&lt;server&gt;."), "{page}");
    proxy.no_dial();
}

/// The content is not kept.
#[tokio::test]
async fn a_request_with_content_is_not_repeated() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let mut far = kept(&mut proxy, &mut client).await;
    let put = GET.replace("GET", "PUT").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
    say(&mut client, &put).await;
    far.head().await;
    drop(far);
    let (head, _) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    proxy.no_dial();
}

#[tokio::test]
async fn a_half_closed_client_gets_its_response() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    say(&mut client, GET).await;
    client.shutdown().await.expect("open");
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(OK).await;
    assert!(read_to_end(&mut client).await.ends_with(b"hello"));
    timeout(HANG, task).await.expect("over").expect("no panic");
}

#[tokio::test]
async fn a_reset_by_the_client_aborts_its_request() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    ClientStream::from(client).reset();
    timeout(HANG, task).await.expect("over").expect("no panic");
    assert_eq!(read_to_end(&mut far.stream).await, b"");
}

#[tokio::test]
async fn shutdown_lets_a_response_finish_and_closes_an_idle_connection() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut idle, _task) = proxy.client().await;
    say(&mut idle, GET).await;
    let mut idle_far = proxy.dialled().await.far();
    idle_far.head().await;
    idle_far.send(OK).await;
    response(&mut idle).await;

    let (mut busy, _task) = proxy.client().await;
    say(&mut busy, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    proxy.shutdown.cancel();
    assert_eq!(read_to_end(&mut idle).await, b"");
    far.send(OK).await;
    let (head, body) = response(&mut busy).await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(body, "hello");
    assert_eq!(read_to_end(&mut busy).await, b"");
}

#[tokio::test]
async fn a_password_is_required_and_not_forwarded() {
    let limits = GreetingLimits::default();
    let mut proxy = TestProxy::with(Outcome::Connect, Some(credentials()), limits).await;
    let (mut client, _task) = proxy.client().await;
    let authorized = |request: &str, value: &str| {
        request.replace("\r\n\r\n", &format!("\r\nProxy-Authorization: {value}\r\n\r\n"))
    };
    let wrong = [
        "Basic YWRhOndyb25n",
        "Basic YWRh",
        "Basic YWRhOng6c2VjcmV0",
        "Basic !",
        "Basic",
        "Bearer YWRhOnNlY3JldA==",
    ];
    let mut refused: Vec<_> = wrong.iter().map(|value| authorized(GET, value)).collect();
    refused.extend([GET.to_owned(), GET.replace("example.com", "a..b")]);
    for request in refused {
        say(&mut client, &request).await;
        let (head, _) = response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\n"), "{head}");
        assert!(head.contains("proxy-authenticate: Basic realm=\"sockeye\"\r\n"), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
    }
    proxy.no_dial();
    // "ada:secret", on the same connection.
    say(&mut client, &authorized(GET, "bAsIc YWRhOnNlY3JldA==")).await;
    let dialled = proxy.dialled().await;
    assert_eq!(dialled.request.user.as_deref(), Some("ada"));
    let mut far = dialled.far();
    assert_eq!(far.head().await, GET_AS_SENT, "the password goes no further");
    far.send(OK).await;
    response(&mut client).await;
    let connect = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n";
    say(&mut client, &authorized(connect, "Basic YWRhOnNlY3JldA==")).await;
    proxy.dialled().await.far();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 Connection established\r\n"));
}

#[tokio::test]
async fn a_failure_is_reported_with_its_reason() {
    let missing = MissingSession {
        server: "me@<b>host".into(),
        reason: "\u{1b}[31mno \"route\"\r\nX-Evil: 1".into(),
    };
    let error = DialError::NoSession { servers: vec![missing] };
    let mut proxy = TestProxy::new(Outcome::Fail(error)).await;
    let (mut client, _task) = proxy.client().await;
    for request in [GET, GET, "CONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n"] {
        say(&mut client, request).await;
        let (head, body) = response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        let field = "proxy-status: sockeye; error=destination_unavailable; \
                     next-hop=\"me@<b>host\"; details=\"no session";
        assert!(head.contains(field), "{head}");
        assert!(head.contains("content-security-policy: default-src 'none'\r\n"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff\r\n"), "{head}");
        assert!(!head.to_lowercase().contains("\r\nx-evil"), "{head}");
        assert!(body.contains("example.com:80") && body.contains("me@&lt;b&gt;host"), "{body}");
        assert!(!body.contains('\u{1b}'));
        proxy.dialled().await;
    }
}
