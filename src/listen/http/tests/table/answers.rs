//! A table of forty responses.

use super::*;

/// The result of a response.
pub(in crate::listen::http::tests) enum Then {
    /// The client gets this, except for a Date that the web server left out.
    Gets(&'static [u8]),
    /// The client gets a 502 with this error of RFC 9209.
    Refused(&'static str),
    /// The client gets this, followed by a reset.
    Breaks(&'static str),
}

use Then::{Breaks, Gets, Refused};

#[tokio::test]
async fn responses_and_their_results() {
    assert_eq!(ROWS.len(), 40);
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    for (section, method, answer, then) in ROWS {
        let shown = format!("{section}: {method}: {}", text(answer));
        let (mut client, _task) = proxy.client().await;
        say(&mut client, &GET.replace("GET", method)).await;
        client.shutdown().await.expect("open");
        let mut far = proxy.dialled().await.far();
        far.head().await;
        far.stream.write_all(answer).await.expect("sent");
        if let Breaks(start) = then {
            // A client that reads nothing before the reset may lose everything.
            let got = without_date(take(&mut client, start.len() + DATE.len()).await);
            assert_eq!(got, *start, "{shown}");
            drop(far);
            let end = timeout(HANG, client.read_to_end(&mut Vec::new())).await.expect("in time");
            end.expect_err(&shown);
            continue;
        }
        drop(far);
        let got = text(&read_to_end(&mut client).await);
        match then {
            Gets(bytes) => assert_eq!(without_date(got), text(bytes), "{shown}"),
            Refused(kind) => {
                assert!(got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{shown}: {got}");
                assert!(got.contains(&format!("sockeye; error={kind};")), "{shown}: {got}");
            }
            Breaks(_) => unreachable!("above"),
        }
    }
}

/// Removes the one field that hyper adds.
fn without_date(answer: String) -> String {
    let Some(start) = answer.find("date: ") else { return answer };
    let end = start + DATE.len();
    format!("{}{}", &answer[..start], &answer[end..])
}

const DATE: &str = "date: Thu, 26 Nov 2026 09:00:35 GMT\r\n";

// The table is easier to read in columns.
#[rustfmt::skip]
pub(in crate::listen::http::tests) const ROWS: &[(&str, &str, &[u8], Then)] = &[
    // Status lines.
    ("9112 4", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    ("9112 4", "GET", b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na")),
    ("9112 4", "GET", b"HTTP/1.1 200 Fine by me\r\nContent-Length: 0\r\n\r\n", Gets(b"HTTP/1.1 200 Fine by me\r\nContent-Length: 0\r\n\r\n")),
    ("9110 15", "GET", b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n", Gets(b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n")),
    ("9110 15", "GET", b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", Gets(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n")),
    ("9110 2.5", "GET", b"HTTP/1.7 200 OK\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    ("9112 2.2", "GET", b"\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\na", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    ("-", "GET", b"ICY 200 OK\r\nA: b\r\n\r\nradio", Gets(b"HTTP/1.1 200 OK\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nradio\r\n0\r\n\r\n")),
    ("9112 4", "GET", b"HTTP/1.1 20 OK\r\n\r\n", Refused("http_protocol_error")),
    ("9112 4", "GET", b"HTTP/1.1 2000 OK\r\n\r\n", Refused("http_protocol_error")),
    ("9112 4", "GET", b"SSH-2.0-x\r\n", Refused("http_protocol_error")),
    ("9112 4", "GET", b"<html>old</html>", Refused("http_protocol_error")),
    // Fields.
    ("9110 5.1", "GET", b"HTTP/1.1 204 No Content\r\nX-CamelCase: A\r\nx_y: b\r\nEmpty:\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nX-CamelCase: A\r\nx_y: b\r\nEmpty: \r\n\r\n")),
    ("9112 5.1", "GET", b"HTTP/1.1 204 No Content\r\nX-Foo : x\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nX-Foo: x\r\n\r\n")),
    ("9112 5.1", "GET", b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    ("9112 5.2", "GET", b"HTTP/1.1 204 No Content\r\nA: x\r\n  y\r\n\tz\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nA: x y z\r\n\r\n")),
    ("9112 5", "GET", b"HTTP/1.1 204 No Content\r\nno colon\r\nA: b\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")),
    ("9110 5.5", "GET", b"HTTP/1.1 204 No Content\r\nA: x\x01y\x00z\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nA: x y z\r\n\r\n")),
    ("9110 5.5", "GET", b"HTTP/1.1 204 No Content\r\nA: \xe9\xff\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nA: \xe9\xff\r\n\r\n")),
    ("9110 5.6.2", "GET", b"HTTP/1.1 204 No Content\r\n(A): x\r\nB: c\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nB: c\r\n\r\n")),
    ("9110 5.3", "GET", b"HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n")),
    ("9110 7.6.1", "GET", b"HTTP/1.1 204 No Content\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nA: b\r\n\r\n", Gets(b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")),
    ("9112 2.2", "GET", b"HTTP/1.1 200 OK\r\n Content-Length: 1\r\n\r\na", Refused("http_protocol_error")),
    ("9112 5", "GET", b"HTTP/1.1 200 OK\r\nContent-Length 1\r\n\r\na", Refused("http_protocol_error")),
    ("9110 5.5", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\x00\r\n\r\na", Refused("http_protocol_error")),
    // Content.
    ("9112 7.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\n\r\n", Gets(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")),
    ("9112 7.1.2", "GET", b"HTTP/1.1 200 OK\r\nTrailer: S\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nS: 1\r\n\r\n", Gets(b"HTTP/1.1 200 OK\r\nTrailer: S\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\ns: 1\r\n\r\n")),
    ("9112 6.3", "GET", b"HTTP/1.1 200 OK\r\n\r\nall of it", Gets(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n")),
    ("9112 6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    ("9112 6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Gets(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")),
    ("9112 6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Refused("http_protocol_error")),
    ("9112 6.3", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na", Refused("http_protocol_error")),
    ("9112 6.1", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused("http_response_transfer_coding")),
    ("9112 6.1", "GET", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused("http_protocol_error")),
    ("9110 9.3.2", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n", Gets(b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n")),
    ("9110 15.4.5", "GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", Gets(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n")),
    ("9110 15.3.7", "GET", b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\na")),
    ("9110 15.2", "GET", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Gets(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")),
    // Incomplete responses.
    ("9112 8", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Breaks("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")),
    ("9112 8", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab", Breaks("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")),
];
