//! What must not get further than the door: malformed, ambiguous and hostile requests.

use super::*;

/// Sends bytes, reads to the end, and returns what was answered. Nothing may reach the road.
async fn refused(bytes: &[u8]) -> String {
    let mut house = House::new(Outcome::Connect).await;
    let answer = house.ask(bytes).await;
    house.no_dial();
    String::from_utf8(answer).expect("ASCII")
}

#[tokio::test]
async fn malformed_requests() {
    for (what, request) in [
        ("NUL in a value", "GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        ("CR in a value", "GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        ("NUL in the target", "GET http://a/\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("space in the target", "GET http://a/ b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("space before the colon", "GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("folded line", "GET http://a/ HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
        ("no colon", "GET http://a/ HTTP/1.1\r\nHost\r\n\r\n"),
        ("version 2", "GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n"),
        (
            "two lengths",
            "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        ),
        ("signed length", "POST http://a/ HTTP/1.1\r\nContent-Length: +1\r\n\r\nx"),
        ("length list", "POST http://a/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx"),
        ("coding in 1.0", "POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("coding not chunked", "POST http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nx"),
        ("user info", "GET http://me:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("https", "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("ftp", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("port 0", "GET http://a:0/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("port 65536", "GET http://a:65536/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("zone", "GET http://[fe80::1%25eth0]/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no host", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT port 0", "CONNECT a:0 HTTP/1.1\r\n\r\n"),
        ("CONNECT port 65536", "CONNECT a:65536 HTTP/1.1\r\n\r\n"),
        ("CONNECT zone", "CONNECT [fe80::1%25eth0]:80 HTTP/1.1\r\n\r\n"),
        ("CONNECT user", "CONNECT me@a:80 HTTP/1.1\r\n\r\n"),
        ("CONNECT absolute", "CONNECT http://a:80/ HTTP/1.1\r\n\r\n"),
        ("CONNECT length", "CONNECT a:80 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
        ("CONNECT length 0", "CONNECT a:80 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        ("CONNECT coding", "CONNECT a:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let answer = refused(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{what}: {answer}");
        assert!(!answer.contains("secret"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn codings_that_are_not_understood() {
    for coding in ["gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let head = format!("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}");
        let answer = refused(format!("{head}\r\n\r\n0\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 501 Not Implemented\r\n"), "{coding}: {answer}");
    }
}

#[tokio::test]
async fn what_a_web_page_can_send_is_one_refusal() {
    let inner = "GET http://intranet/ HTTP/1.1\r\nHost: intranet\r\n\r\n";
    let length = inner.len();
    for request in [
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:1080\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n{inner}"),
        format!("PUT /http://b/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{inner}"),
        format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
        format!("GET intranet:80 HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
    ] {
        let answer = refused(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request}: {answer}");
        assert!(answer.contains("this is a proxy, not a web server"), "{answer}");
    }
}

#[tokio::test]
async fn a_page_without_the_password_is_refused_too() {
    let limits = GreetingLimits::default();
    let house = House::with(Outcome::Connect, Some(credentials()), limits).await;
    let answer = house.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // A challenge would make the browser ask its user for the password.
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
}

#[tokio::test]
async fn heads_have_a_bound() {
    let field = |length: usize| {
        format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length))
    };
    let answer = refused(field(64 * 1024).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "X: y\r\n".repeat(101);
    let answer = refused(format!("GET http://a/ HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let target = format!("GET http://a/{} HTTP/1.1\r\n\r\n", "x".repeat(64 * 1024));
    let answer = refused(target.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    say(&mut client, &field(60 * 1024)).await;
    assert!(house.dialled().await.far().head().await.len() > 60 * 1024);
}

#[tokio::test]
async fn ambiguity_ends_here() {
    let mut house = House::new(Outcome::Connect).await;
    // Line ends, leading empty lines, white space and a Host that lies: written anew.
    for request in [
        "GET http://example.com/a HTTP/1.1\nHost: other\n\n",
        "GET http://example.com/a HTTP/1.1\r\nHost: other\r\nHost: third\r\n\r\n",
        "GET http://EXAMPLE.com:80/a HTTP/1.1\r\nhOST:\t other \t\r\n\r\n",
    ] {
        let (mut client, _task) = house.client().await;
        say(&mut client, request).await;
        assert_eq!(house.dialled().await.far().head().await, GET_AS_SENT, "{request}");
    }
    // The coding wins over the length, the length does not go on, and nothing follows.
    for fields in [
        "Content-Length: 60\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 60",
    ] {
        let (mut client, _task) = house.client().await;
        let head = format!("POST http://example.com/ HTTP/1.1\r\n{fields}\r\n\r\n");
        say(&mut client, &format!("{head}2\r\nhi\r\n0\r\n\r\n{GET}")).await;
        let mut far = house.dialled().await.far();
        let sent = far.head().await;
        assert!(sent.contains("transfer-encoding: chunked\r\n"), "{sent}");
        assert!(!sent.contains("content-length"), "{sent}");
        assert_eq!(take(&mut far.stream, 12).await, "2\r\nhi\r\n0\r\n\r\n");
        far.send(OK).await;
        let answer = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("hello"), "{answer}");
        assert_eq!(read_to_end(&mut far.stream).await, b"", "no second request");
    }
}

#[tokio::test]
async fn responses_that_cannot_be_passed_on() {
    for (response, kind) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "http_protocol_error"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "http_protocol_error",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "http_response_transfer_coding",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "http_response_transfer_coding"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 200", "connection_terminated"),
        ("", "connection_terminated"),
    ] {
        let mut house = House::new(Outcome::Connect).await;
        let (mut client, _task) = house.client().await;
        say(&mut client, GET).await;
        let mut far = house.dialled().await.far();
        far.head().await;
        far.send(response).await;
        drop(far);
        let (head, body) = super::response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response}: {head}");
        assert!(head.contains(&format!("error={kind};")), "{response}: {head}");
        assert!(body.contains("example.com:80"), "{response}: {body}");
    }
}
