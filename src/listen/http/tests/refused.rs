//! Requests that must not get past the parser: malformed, ambiguous and hostile ones.

use super::*;
use crate::listen::http::wire::{MAX_FIELDS, MAX_HEAD};

/// Sends bytes, reads to EOF, and returns the response. Nothing may be dialled.
async fn refused(bytes: &[u8]) -> String {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let answer = proxy.ask(bytes).await;
    proxy.no_dial();
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
        (
            "two lengths",
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        ),
        ("signed length", "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"),
        ("length list", "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx"),
        (
            "length and coding",
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("no Host", "GET http://a/ HTTP/1.1\r\n\r\n"),
        ("two Hosts", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("broken Host", "GET http://a/ HTTP/1.1\r\nHost: a b/c\r\n\r\n"),
        ("no CONNECT Host", "CONNECT a:80 HTTP/1.1\r\n\r\n"),
        ("coding in 1.0", "POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            "coding not chunked",
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx",
        ),
        ("user info", "GET http://me:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("https", "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("ftp", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("port 0", "GET http://a:0/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("port 65536", "GET http://a:65536/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("zone", "GET http://[fe80::1%25eth0]/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no host", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT port 0", "CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT port 65536", "CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT zone", "CONNECT [fe80::1%25eth0]:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT user", "CONNECT me@a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT absolute", "CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT length", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        (
            "CONNECT coding",
            "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        let answer = refused(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 4").count(), 1, "{what}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{what}: {answer}");
        let status = "proxy-status: sockeye; error=http_request_error; details=\"";
        assert!(
            answer.contains(status) && answer.contains("<h1>Bad Request</h1>"),
            "{what}: {answer}"
        );
        assert!(!answer.contains("secret"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_ends_early() {
    for (request, reason) in [
        ("GET http://a/ HTTP/1.1\r\nHost", "ended within its head"),
        ("G", "ended within its head"),
    ] {
        let mut proxy = TestProxy::new(Outcome::Connect).await;
        let (mut client, _task) = proxy.client().await;
        say(&mut client, request).await;
        client.shutdown().await.expect("open");
        let (head, page) = super::response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(page.contains(reason), "{page}");
        proxy.no_dial();
    }
}

/// RFC 9112 section 7.1: a client's malformed content is not the web server's fault.
#[tokio::test]
async fn content_that_does_not_match_its_framing() {
    for (content, reason) in [
        ("5\r\nhello\r\nxyz\r\n", "a chunk of the request"),
        ("5\r\nhello0\r\n\r\n", "a chunk of the request"),
        ("5\nhello\r\n0\r\n\r\n", "a chunk of the request"),
        ("5\r\nhello\r\n0\r\nX : y\r\n\r\n", "a chunk of the request"),
        ("5\r\nhel", "ended within its content"),
    ] {
        let mut proxy = TestProxy::new(Outcome::Connect).await;
        let (mut client, _task) = proxy.client().await;
        let head = "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        say(&mut client, &format!("{head}{content}")).await;
        client.shutdown().await.expect("open");
        let (head, page) = super::response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{content:?}: {head}");
        assert!(head.contains("error=http_request_error"), "{content:?}: {head}");
        assert!(page.contains(reason), "{content:?}: {page}");
        // The web server sees an incomplete request.
        let mut far = proxy.dialled().await.far();
        let sent = read_to_end(&mut far.stream).await;
        assert!(!sent.ends_with(b"0\r\n\r\n"), "{content:?}");
    }
}

#[tokio::test]
async fn other_versions() {
    for request in ["GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let answer = refused(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 505 HTTP Version Not Supported\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn unsupported_codings() {
    for coding in ["gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let head = format!("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}");
        let answer = refused(format!("{head}\r\n\r\n0\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 501 Not Implemented\r\n"), "{coding}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_a_web_page_can_send_are_refused() {
    let inner = "GET http://intranet/ HTTP/1.1\r\nHost: intranet\r\n\r\n";
    let length = inner.len();
    for request in [
        format!("GET / HTTP/1.1\r\nHost: evil.example:1080\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n{inner}"),
        format!(
            "PUT /http://b/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{inner}"
        ),
        format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
        format!("GET intranet:80 HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
        format!("POST //intranet/ HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
        format!("POST /x?http://intranet/ HTTP/1.1\r\nHost: a\r\n\r\n{inner}"),
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
    let proxy = TestProxy::with(Outcome::Connect, Some(credentials()), limits).await;
    let answer = proxy.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // A challenge would make the browser ask its user for the password.
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
}

#[tokio::test]
async fn heads_are_bounded() {
    let field = |length: usize| {
        format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length))
    };
    let answer = refused(field(MAX_HEAD).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("longer than 256 KiB"), "{answer}");
    let many = |number| {
        let many = "X: y\r\n".repeat(number);
        format!("GET http://a/ HTTP/1.1\r\nHost: a\r\n{many}\r\n")
    };
    let answer = refused(many(MAX_FIELDS).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("more than 2000 fields"), "{answer}");

    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let target = GET.replace("/a", &format!("/{}", "x".repeat(200 * 1024)));
    for request in [field(200 * 1024), many(MAX_FIELDS - 1), target] {
        let (mut client, _task) = proxy.client().await;
        say(&mut client, &request).await;
        let sent = proxy.dialled().await.far().head().await;
        assert!(sent.len() > 10_000, "{}", sent.len());
    }
}

#[tokio::test]
async fn ambiguous_messages_are_rewritten() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    // Line endings, leading empty lines, white space and a misleading Host are rewritten.
    for request in [
        "GET http://example.com/a HTTP/1.1\nHost: other\n\n",
        "\r\n\nGET http://example.com/a HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET http://EXAMPLE.com:80/a HTTP/1.1\r\nHost:\t other \t\r\n\r\n",
        "GET http://example.com:/a#b HTTP/1.9\r\nHost:\r\n\r\n",
    ] {
        let (mut client, _task) = proxy.client().await;
        say(&mut client, request).await;
        assert_eq!(proxy.dialled().await.far().head().await, GET_AS_SENT, "{request}");
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
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 200", "connection_terminated"),
        ("", "connection_terminated"),
    ] {
        let mut proxy = TestProxy::new(Outcome::Connect).await;
        let (mut client, _task) = proxy.client().await;
        say(&mut client, GET).await;
        let mut far = proxy.dialled().await.far();
        far.head().await;
        far.send(response).await;
        drop(far);
        let (head, body) = super::response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response}: {head}");
        assert!(head.contains(&format!("error={kind};")), "{response}: {head}");
        assert!(body.contains("example.com:80"), "{response}: {body}");
        assert!(!head.contains("connection: close"), "{response}: {head}");
    }
}

/// The web server is not to blame.
#[tokio::test]
async fn malformed_content_of_the_client() {
    for content in ["ZZ\r\nhello\r\n0\r\n\r\n", "5\r\nhello world\r\n0\r\n\r\n", "-1\r\n\r\n"] {
        let proxy = TestProxy::new(Outcome::Connect).await;
        let head = "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = proxy.ask(format!("{head}{content}").as_bytes()).await;
        let answer = String::from_utf8(answer).expect("ASCII");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{content}: {answer}");
        assert!(answer.contains("error=http_request_error"), "{content}: {answer}");
        assert!(!answer.contains("502"), "{content}: {answer}");
    }
}
