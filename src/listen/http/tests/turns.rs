//! Who speaks when: interim and early responses, connections that are kept, and the pages of our own.

use std::sync::atomic::Ordering;

use super::*;

const PUT: &str = "PUT http://example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
                   Expect: 100-continue\r\n\r\n";

/// RFC 9110 section 10.1.1: nothing is uploaded for a web server that has refused it.
#[tokio::test]
async fn a_final_answer_comes_instead_of_a_100() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, task) = house.client().await;
    say(&mut client, PUT).await;
    let mut far = house.dialled().await.far();
    assert!(far.head().await.contains("\r\nExpect: 100-continue\r\n"));
    far.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
    let (head, body) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");
    assert!(head.contains("connection: close\r\n"), "the content may never come: {head}");
    assert_eq!(body, "no");
    assert_eq!(read_to_end(&mut client).await, b"");
    assert_eq!(read_to_end(&mut far.stream).await, b"", "let go");
    drop(client);
    timeout(HANG, task).await.expect("over").expect("no panic");
}

/// A client that has begun to send may go on; the response has its end all the same.
#[tokio::test]
async fn an_early_answer_ends_and_the_upload_goes_on() {
    let mut house = House::new(Outcome::Connect).await;
    for (length, end) in [("Content-Length: 5\r\n", "hello"), ("", "5\r\nhello\r\n0\r\n\r\n")] {
        let (mut client, task) = house.client().await;
        say(&mut client, &PUT.replace("Expect: 100-continue\r\n", "")).await;
        say(&mut client, "he").await;
        let mut far = house.dialled().await.far();
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

#[tokio::test]
async fn an_answer_survives_a_server_that_stops_reading() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let head = "PUT http://example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n";
    say(&mut client, head).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    drop(far);
    let content = "x".repeat(1 << 16);
    // It goes on sending until it is told.
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

/// The word counts beside one that is no token, for hyper as for us.
#[tokio::test]
async fn a_connection_closes_whatever_else_the_field_says() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let field = "\r\nConnection: close, \u{e9}, x-hop\r\nX-Hop: 1\r\n\r\n";
    for is_last in [false, true] {
        let asked = if is_last { GET.replace("\r\n\r\n", field) } else { GET.to_owned() };
        say(&mut client, &asked).await;
        let mut far = house.dialled().await.far();
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
async fn chunk_extensions_are_no_burden() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    say(&mut client, &GET.replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunks = "1;signature=0123456789\r\na\r\n".repeat(4000);
    far.send(&format!("{chunks}0;last\r\n\r\n")).await;
    let answer = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
    assert!(answer.ends_with(&format!("\r\n\r\n{}", "a".repeat(4000))), "{}", answer.len());
}

/// What is chunked in name only has no chunks.
#[tokio::test]
async fn a_head_that_speaks_of_chunks_has_none() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    say(&mut client, &GET.replace("GET", "HEAD")).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send(chunked).await;
    head(&mut client).await;
    say(&mut client, GET).await;
    assert_eq!(far.head().await, GET_AS_SENT, "the connection is in step");
    far.send(&format!("{chunked}2;x\r\nab\r\n0\r\n\r\n")).await;
    head(&mut client).await;
    assert_eq!(take(&mut client, 12).await, "2\r\nab\r\n0\r\n\r\n");
}

/// RFC 9112 section 6.3: such a response ends with its head. What is wrong with the fields that frame
/// nothing is nobody's trouble, but the connection is not used again.
#[tokio::test]
async fn a_head_without_content_needs_no_framing() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
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
        let mut far = house.dialled().await.far();
        far.head().await;
        far.send(&format!("{status}\r\n{fields}\r\nA: b\r\n\r\n")).await;
        let head = head(&mut client).await;
        let start = format!("{}\r\nA: b\r\ndate: ", status.replace("1.0", "1.1"));
        assert!(head.starts_with(&start), "{fields}: {head}");
        assert_eq!(head.lines().count(), 4, "{fields}: {head}");
        assert_eq!(read_to_end(&mut far.stream).await, b"", "not used again");
    }
}

/// An interim response has no content either.
#[tokio::test]
async fn an_interim_response_needs_no_framing() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    say(&mut client, GET).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.1 103 Early Hints\r\nContent-Length 1\r\nLink: </x>\r\n\r\n").await;
    assert_eq!(head(&mut client).await, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    far.send(OK).await;
    assert_eq!(response(&mut client).await.1, "hello");
}

#[tokio::test]
async fn an_old_client_gets_no_interim_response_and_is_not_kept() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let request = "GET http://example.com/a HTTP/1.0\r\nConnection: keep-alive\r\n\
                   Proxy-Connection: keep-alive\r\n\r\n";
    say(&mut client, &[request, request].concat()).await;
    let mut far = house.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT);
    far.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    far.send(OK).await;
    let all = String::from_utf8(read_to_end(&mut client).await).expect("ASCII");
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("hello"), "{all}");
    assert_eq!(all.matches("HTTP/1.").count(), 1, "{all}");
    house.no_dial();
}

#[tokio::test]
async fn a_kept_connection_takes_any_target() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let mut far = None;
    for target in ["/a", "/<a>?\"b\"", "/a", "/`"] {
        say(&mut client, &GET.replace("/a HTTP", &format!("{target} HTTP"))).await;
        let far = match &mut far {
            Some(far) => far,
            None => far.insert(house.dialled().await.far()),
        };
        assert_eq!(far.head().await, GET_AS_SENT.replace("/a", target));
        far.send(OK).await;
        response(&mut client).await;
    }
    house.no_dial();
}

/// The rules may decide otherwise about another user, and a reload may have changed them.
#[tokio::test]
async fn a_kept_connection_is_for_one_user_and_one_set_of_rules() {
    let limits = GreetingLimits::default();
    let mut house = House::with(Outcome::Connect, Some(credentials()), limits).await;
    let (mut client, _task) = house.client().await;
    let (ada, bob) = ("Basic YWRhOnNlY3JldA==", "Basic Ym9iOnNlY3JldA==");
    let mut far = None;
    for (user, reloads, is_new) in
        [(ada, 0, true), (ada, 0, false), (bob, 0, true), (bob, 0, false), (bob, 1, true)]
    {
        house.replaced.fetch_add(reloads, Ordering::Relaxed);
        let fields = format!("\r\nProxy-Authorization: {user}\r\n\r\n");
        say(&mut client, &GET.replace("\r\n\r\n", &fields)).await;
        if is_new {
            far = Some(house.dialled().await.far());
        }
        let far = far.as_mut().expect("dialled");
        far.head().await;
        far.send(OK).await;
        response(&mut client).await;
        house.no_dial();
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_for_any_target() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let odd = GET.replace("/a HTTP", "/<a> HTTP");
    say(&mut client, &odd).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send(OK).await;
    response(&mut client).await;
    say(&mut client, &odd).await;
    far.head().await;
    drop(far);
    let mut far = house.dialled().await.far();
    assert_eq!(far.head().await, GET_AS_SENT.replace("/a", "/<a>"));
    far.send(OK).await;
    response(&mut client).await;
}

#[tokio::test]
async fn a_request_that_is_ended_by_hand_is_not_sent_again() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    let mut far = kept(&mut house, &mut client).await;
    say(&mut client, GET).await;
    far.head().await;
    far.kill();
    let (head, page) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(page.contains("ended by hand"), "{page}");
    house.no_dial();
}

/// An HTTP/1.0 server might take the chunks of the next request for its content.
#[tokio::test]
async fn an_old_server_is_asked_once() {
    let mut house = House::new(Outcome::Connect).await;
    let (mut client, _task) = house.client().await;
    say(&mut client, GET).await;
    let mut far = house.dialled().await.far();
    far.head().await;
    far.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(response(&mut client).await.1, "hello");
    let post =
        GET.replace("GET", "POST").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    say(&mut client, &format!("{post}2\r\nhi\r\n0\r\n\r\n")).await;
    let mut second = house.dialled().await.far();
    second.head().await;
    assert_eq!(take(&mut second.stream, 12).await, "2\r\nhi\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_connect_that_fails_closes_where_it_was_asked_to() {
    let house = House::new(Outcome::Fail(DialError::ConnectionRefused)).await;
    let connect = "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(house.ask(connect.as_bytes()).await).expect("ASCII");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("connection: close\r\n"));
}

#[tokio::test]
async fn the_port_says_what_it_is() {
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: {fields}\r\n\r\n");
    let limits = GreetingLimits::default();
    for with in [None, Some(credentials())] {
        let has_password = with.is_some();
        let mut house = House::with(Outcome::Connect, with, limits).await;
        let (mut client, _task) = house.client().await;
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
            let answer = String::from_utf8(house.ask(refused.as_bytes()).await).expect("ASCII");
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        house.no_dial();
    }
}
