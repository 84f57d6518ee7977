//! The order of messages: interim responses, kept connections, and the pages of this program.

use std::sync::atomic::Ordering;

use super::*;

/// `close` counts beside an invalid token, also for hyper.
#[tokio::test]
async fn close_counts_whatever_else_the_field_contains() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let field = "\r\nConnection: close, \u{e9}, x-hop\r\nX-Hop: 1\r\n\r\n";
    for is_last in [false, true] {
        let asked = if is_last { GET.replace("\r\n\r\n", field) } else { GET.to_owned() };
        say(&mut client, &asked).await;
        let mut far = proxy.dialled().await.far();
        assert_eq!(far.head().await, GET_AS_SENT);
        far.send(&OK.replacen("\r\n\r\n", field, 1)).await;
        let head = response(&mut client).await.0.to_lowercase();
        assert!(!head.contains("x-hop") && head.contains("connection: close") == is_last, "{head}");
        assert_eq!(read_to_end(&mut far.stream).await, b"", "the web server closes");
    }
    assert_eq!(read_to_end(&mut client).await, b"");
}

/// RFC 9112 section 7.1.1: extensions are ignored, however many chunks have one.
#[tokio::test]
async fn chunk_extensions_are_ignored() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, &GET.replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunks = "1;signature=0123456789\r\na\r\n".repeat(4000);
    far.send(&format!("{chunks}0;last\r\n\r\n")).await;
    let answer = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
    assert!(answer.ends_with(&format!("\r\n\r\n{}", "a".repeat(4000))), "{}", answer.len());
}

/// The response to HEAD has no chunks, even if it is declared as chunked.
#[tokio::test]
async fn a_response_to_head_has_no_chunks() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    say(&mut client, &GET.replace("GET", "HEAD")).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(chunked).await;
    head(&mut client).await;
    say(&mut client, GET).await;
    assert_eq!(far.head().await, GET_AS_SENT, "the connection is in step");
    far.send(&format!("{chunked}2;x\r\nab\r\n0\r\n\r\n")).await;
    head(&mut client).await;
    assert_eq!(take(&mut client, 12).await, "2\r\nab\r\n0\r\n\r\n");
}

/// RFC 9112 section 6.3: such a response ends with its head. Invalid framing fields do no harm then, but the
/// connection is not reused.
#[tokio::test]
async fn a_response_without_content_needs_no_framing() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let two = "Content-Length: 1\r\nContent-Length: 2";
    for (method, status, fields) in [
        ("HEAD", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"),
        ("HEAD", "HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: gzip"),
        ("HEAD", "HTTP/1.0 200 OK", "Transfer-Encoding: chunked"),
        ("HEAD", "HTTP/1.1 200 OK", "Content-Length: 1\x01"),
        ("HEAD", "HTTP/1.1 200 OK", "Content-Length 1"),
        ("HEAD", "HTTP/1.1 404 Not Found", two),
        ("GET", "HTTP/1.1 304 Not Modified", two),
        ("GET", "HTTP/1.0 304 Not Modified", "Transfer-Encoding: chunked"),
        ("GET", "HTTP/1.1 204 No Content", "Content-Length: all"),
    ] {
        say(&mut client, &GET.replace("GET", method)).await;
        let mut far = proxy.dialled().await.far();
        far.head().await;
        far.send(&format!("{status}\r\n{fields}\r\nA: b\r\n\r\n")).await;
        let head = head(&mut client).await;
        let start = format!("{}\r\nA: b\r\ndate: ", status.replace("1.0", "1.1"));
        assert!(head.starts_with(&start), "{fields}: {head}");
        assert_eq!(head.lines().count(), 4, "{fields}: {head}");
        assert_eq!(read_to_end(&mut far.stream).await, b"", "not reused");
    }
}

/// An interim response has no content either.
#[tokio::test]
async fn an_interim_response_needs_no_framing() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 103 Early Hints\r\nContent-Length 1\r\nLink: </x>\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    far.send(OK).await;
    assert_eq!(response(&mut client).await.1, "hello");
}

#[tokio::test]
async fn an_http_1_0_client_gets_no_interim_response_and_is_not_kept() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let request = "GET http://example.com/a HTTP/1.0\r\nConnection: keep-alive\r\n\
                   Proxy-Connection: keep-alive\r\n\r\n";
    say(&mut client, &[request, request].concat()).await;
    let mut far = proxy.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT);
    far.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    far.send(OK).await;
    let all = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("hello"), "{all}");
    assert_eq!(all.matches("HTTP/1.").count(), 1, "{all}");
    proxy.no_dial();
}

#[tokio::test]
async fn a_kept_connection_serves_any_target() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let mut far = None;
    for target in ["/a", "/<a>?\"b\"", "/a", "/`"] {
        say(&mut client, &GET.replace("/a HTTP", &format!("{target} HTTP"))).await;
        let far = match &mut far {
            Some(far) => far,
            None => far.insert(proxy.dialled().await.far()),
        };
        assert_eq!(far.head().await, GET_AS_SENT.replace("/a", target));
        far.send(OK).await;
        response(&mut client).await;
    }
    proxy.no_dial();
}

/// The rules may decide differently for another user, or may have been reloaded.
#[tokio::test]
async fn a_kept_connection_is_for_one_user_and_one_set_of_rules() {
    let limits = GreetingLimits::default();
    let mut proxy = TestProxy::with(Outcome::Connect, Some(credentials()), limits).await;
    let (mut client, _task) = proxy.client().await;
    let (ada, bob) = ("Basic YWRhOnNlY3JldA==", "Basic Ym9iOnNlY3JldA==");
    let mut far = None;
    for (user, reloads, is_new) in
        [(ada, 0, true), (ada, 0, false), (bob, 0, true), (bob, 0, false), (bob, 1, true)]
    {
        proxy.replaced.fetch_add(reloads, Ordering::Relaxed);
        let fields = format!("\r\nProxy-Authorization: {user}\r\n\r\n");
        say(&mut client, &GET.replace("\r\n\r\n", &fields)).await;
        if is_new {
            far = Some(proxy.dialled().await.far());
        }
        let far = far.as_mut().expect("dialled");
        far.head().await;
        far.send(OK).await;
        response(&mut client).await;
        proxy.no_dial();
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_for_any_target() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let odd = GET.replace("/a HTTP", "/<a> HTTP");
    say(&mut client, &odd).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send(OK).await;
    response(&mut client).await;
    say(&mut client, &odd).await;
    far.head().await;
    drop(far);
    let mut far = proxy.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT.replace("/a", "/<a>"));
    far.send(OK).await;
    response(&mut client).await;
}

#[tokio::test]
async fn a_killed_request_is_not_repeated() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let mut far = kept(&mut proxy, &mut client).await;
    say(&mut client, GET).await;
    far.head().await;
    far.kill();
    let (head, page) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(head.contains("error=connection_terminated;"), "{head}");
    assert!(page.contains("ended by hand"), "{page}");
    proxy.no_dial();
}

/// A response that cannot be passed on is final, too.
#[tokio::test]
async fn a_request_with_a_bad_response_is_not_repeated() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    let mut far = kept(&mut proxy, &mut client).await;
    say(&mut client, GET).await;
    far.head().await;
    far.send("no HTTP\r\n\r\n").await;
    let (head, _) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(head.contains("error=http_protocol_error;"), "{head}");
    proxy.no_dial();
}

/// The session is to blame, and is named.
#[tokio::test]
async fn a_cut_before_the_response_names_the_ssh_server() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.cut();
    let (head, page) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(head.contains("next-hop=\"test<server>\""), "{head}");
    assert!(head.contains("cache-control: no-store\r\n"), "{head}");
    assert!(page.contains("session that carried the request was lost"), "{page}");
}

/// An HTTP/1.0 server might take the chunks of the next request for its content.
#[tokio::test]
async fn an_http_1_0_server_gets_one_request_per_connection() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let (mut client, _task) = proxy.client().await;
    say(&mut client, GET).await;
    let mut far = proxy.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(response(&mut client).await.1, "hello");
    let post =
        GET.replace("GET", "POST").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    say(&mut client, &format!("{post}2\r\nhi\r\n0\r\n\r\n")).await;
    let mut second = proxy.dialled().await.far();
    second.head().await;
    assert_eq!(take(&mut second.stream, 12).await, "2\r\nhi\r\n0\r\n\r\n");
}

/// RFC 9931 section 8: a client may send its application's data ahead, which is no request of its own.
#[tokio::test]
async fn nothing_after_a_refused_connect_is_a_request() {
    let connect = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let refused = || Outcome::Fail(DialError::ConnectionRefused);
    let limits = GreetingLimits::default();
    for (outcome, with, status, dials) in
        [(refused(), None, "502", 1), (Outcome::Connect, Some(credentials()), "407", 0)]
    {
        let mut proxy = TestProxy::with(outcome, with, limits).await;
        let authorized = "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\
                          Proxy-Authorization: Basic YWRhOnNlY3JldA==\r\n\r\n";
        let answer = proxy.ask(format!("{connect}{authorized}").as_bytes()).await;
        let answer = String::from_utf8(answer).expect("ASCII");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        for _ in 0..dials {
            proxy.dialled().await;
        }
        proxy.no_dial();
    }
}

/// RFC 9112 section 9.6: the content of a refused request is not read, and the client is told.
#[tokio::test]
async fn a_failed_request_with_content_closes_the_connection() {
    let proxy = TestProxy::new(Outcome::Fail(DialError::ConnectionRefused)).await;
    let (mut client, _task) = proxy.client().await;
    let post = GET.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    say(&mut client, &post).await;
    let (head, _) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 ") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(read_to_end(&mut client).await, b"");
}

/// RFC 9112 section 9.6: the client learns that its next request will not be answered.
#[tokio::test]
async fn an_own_answer_that_leaves_content_unread_closes_the_connection() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    let fields = "Host: 127.0.0.1\r\nMax-Forwards: 0\r\nTransfer-Encoding: chunked";
    for line in ["OPTIONS http://example.com/ HTTP/1.1", "GET / HTTP/1.1"] {
        let request = format!("{line}\r\n{fields}\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n{GET}");
        let answer = String::from_utf8(proxy.ask(request.as_bytes()).await).expect("ASCII");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        proxy.no_dial();
    }
}

#[tokio::test]
async fn the_port_describes_itself() {
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: {fields}\r\n\r\n");
    let limits = GreetingLimits::default();
    for with in [None, Some(credentials())] {
        let has_password = with.is_some();
        let mut proxy = TestProxy::with(Outcome::Connect, with, limits).await;
        let (mut client, _task) = proxy.client().await;
        say(&mut client, &get("/", "127.0.0.1:1080")).await;
        let (head, page) = response(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for field in [
            "x-content-type-options: nosniff\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n",
        ] {
            assert!(head.contains(field), "{head}");
        }
        assert!(page.contains("socks5h://127.0.0.1:1080"), "{page}");
        assert_eq!(page.contains("http://127.0.0.1:1080/proxy.pac"), !has_password, "{page}");
        say(&mut client, &get("/proxy.pac", "localhost:1080")).await;
        let (head, script) = response(&mut client).await;
        assert_eq!(head.starts_with("HTTP/1.1 200 OK\r\n"), !has_password, "{head}");
        if !has_password {
            let kind = "content-type: application/x-ns-proxy-autoconfig; charset=utf-8\r\n";
            assert!(head.contains(kind) && head.contains("nosniff"), "{head}");
            assert_eq!(script, "// by way of localhost:1080");
        }
        for refused in
            [get("/", "evil.example:1080"), get("/", "localhost\r\nSec-Fetch-Site: cross-site")]
        {
            let answer = String::from_utf8(proxy.ask(refused.as_bytes()).await).expect("ASCII");
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        proxy.no_dial();
    }
}
