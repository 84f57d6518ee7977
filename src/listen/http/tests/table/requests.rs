//! A table of eighty requests.

use super::*;

/// The result of a request.
pub(in crate::listen::http::tests) enum Then {
    /// The web server gets this.
    Goes(&'static [u8]),
    /// The client gets this status, a page, and a reason with this text; nothing is dialled.
    Refused(u16, &'static str),
    /// The client gets this; nothing is dialled.
    Answered(&'static str),
    /// A tunnel, whose far end gets this.
    Tunnel(&'static str),
}

use Then::{Answered, Goes, Refused, Tunnel};

#[tokio::test]
async fn requests_and_their_results() {
    let mut proxy = TestProxy::new(Outcome::Connect).await;
    assert_eq!(ROWS.len(), 80);
    for (section, request, then) in ROWS {
        let shown = format!("{section}: {}", text(request));
        let (mut client, _task) = proxy.client().await;
        client.write_all(request).await.expect("sent");
        match then {
            Goes(bytes) => {
                let mut far = proxy.dialled().await.far();
                assert_eq!(take(&mut far.stream, bytes.len()).await, text(bytes), "{shown}");
            }
            Tunnel(early) => {
                let answer = head(&mut client).await;
                let (version, rest) = answer.split_at("HTTP/1.x".len());
                assert!(["HTTP/1.0", "HTTP/1.1"].contains(&version), "{shown}: {answer}");
                let rest = rest.split("date:").next().unwrap_or_default();
                assert_eq!(rest, " 200 Connection established\r\n", "{shown}: {answer}");
                let mut far = proxy.dialled().await.far();
                assert_eq!(take(&mut far.stream, early.len()).await, *early, "{shown}");
            }
            Refused(status, reason) => {
                client.shutdown().await.expect("open");
                let answer = text(&read_to_end(&mut client).await);
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
                assert!(answer.contains("proxy-status: sockeye; error=http_request_error;"));
                assert!(answer.contains("<h1>"), "{shown}: {answer}");
                let reason = html_escape::encode_text(reason);
                assert!(answer.contains(&*reason), "{shown}: {answer}");
            }
            Answered(start) => {
                client.shutdown().await.expect("open");
                let answer = text(&read_to_end(&mut client).await);
                assert!(answer.contains(start), "{shown}: {answer}");
            }
        }
        proxy.no_dial();
    }
}

// The table is easier to read in columns.
#[rustfmt::skip]
pub(in crate::listen::http::tests) const ROWS: &[(&str, &[u8], Then)] = &[
    // Targets.
    ("9112 3.2.2", b"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2.1", b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2.1", b"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /?q HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 7.1", b"GET http://h/a#b HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/?q=up{job=\"node\"} HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /?q=up{job=\"node\"} HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/<a>?<b> HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /<a>?<b> HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/a|b\\c^d`e HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /a|b\\c^d`e HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/[x]?y[]=1 HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /[x]?y[]=1 HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/\xc3\xa9?\xc3\xbc HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /\xc3\xa9?\xc3\xbc HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/%zz%2F%00 HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /%zz%2F%00 HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 4.2.3", b"GET http://h/a/../b//c HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET /a/../b//c HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 4.2.3", b"GET HTTP://H:80/ HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("3986 3.2.3", b"GET http://h:/ HTTP/1.1\r\nHost: h:\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 7.2", b"GET http://[::1]:81/ HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n")),
    ("9112 3.2.4", b"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2.4", b"OPTIONS http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2.4", b"OPTIONS http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"OPTIONS /?q HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 3.2", b"GET http://h/a b HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    ("9112 3.2", b"GET http://h/\x01 HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    ("9110 4.2.4", b"GET http://me:pw@h/ HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "user name or password")),
    ("9110 4.2", b"GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "https goes through CONNECT")),
    ("9110 4.2", b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "only http")),
    ("9110 4.2.1", b"GET http:/// HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "the host name is empty")),
    ("9112 3.2.1", b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "not a web server")),
    ("9112 3.2.4", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "not a web server")),
    // Request lines and versions.
    ("9112 2.2", b"\r\nGET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 2.2", b"\n\r\n\nGET http://h/ HTTP/1.1\nHost: h\n\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 2.5", b"GET http://h/ HTTP/1.2\r\nHost: h\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9112 2.3", b"GET http://h/ HTTP/1.0\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 9.1", b"M-SEARCH http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 9.1", b"get http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Goes(b"get / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 15.6.6", b"GET http://h/ HTTP/2.0\r\nHost: h\r\n\r\n", Refused(505, "HTTP/2 is not spoken here")),
    ("9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(505, "HTTP/2 is not spoken here")),
    ("9112 3", b"GET http://h/\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    ("9112 3", b"GET  http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    ("9112 2.3", b"GET http://h/ http/1.1\r\nHost: h\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    ("9112 3.1", b"G\"T http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400, "METHOD TARGET HTTP/1.1")),
    // Fields.
    ("9110 5.1", b"GET http://h/ HTTP/1.1\r\nhOsT: h\r\nX-CamelCase: A\r\nx-lower: b\r\nX_Y: c\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nhOsT: h\r\nX-CamelCase: A\r\nx-lower: b\r\nX_Y: c\r\n\r\n")),
    ("9110 5.5", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA:x\r\nB: \t y \t\r\nC:\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nA: x\r\nB: y\r\nC:\r\n\r\n")),
    ("9110 5.5", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA: \xe9\tz\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nA: \xe9\tz\r\n\r\n")),
    ("9110 5.3", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nCookie: a\r\nCOOKIE: b\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a\r\nCOOKIE: b\r\n\r\n")),
    ("9110 14.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\n\r\n")),
    ("9112 5.1", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA : x\r\n\r\n", Refused(400, "white space stands between")),
    ("9112 5.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA: x\r\n y\r\n\r\n", Refused(400, "folded")),
    ("9112 2.2", b"GET http://h/ HTTP/1.1\r\n Host: h\r\n\r\n", Refused(400, "folded")),
    ("9112 5", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", Refused(400, "no colon")),
    ("9110 5.6.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA[]: x\r\n\r\n", Refused(400, "name")),
    ("9110 5.5", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA: x\0y\r\n\r\n", Refused(400, "control character")),
    ("9112 2.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA: x\rB: y\r\n\r\n", Refused(400, "control character")),
    // Host.
    ("9112 3.2", b"GET http://h/ HTTP/1.1\r\n\r\n", Refused(400, "lacks the Host field")),
    ("9112 3.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", Refused(400, "more than one Host")),
    ("9112 3.2", b"GET http://h/ HTTP/1.1\r\nHost: a b/c\r\n\r\n", Refused(400, "HOST:PORT")),
    ("9112 3.2", b"GET http://h/ HTTP/1.1\r\nHost: me@h\r\n\r\n", Refused(400, "HOST:PORT")),
    ("9112 3.2.2", b"GET http://h/ HTTP/1.1\r\nHost: other:1\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 7.2", b"GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    // Hop-by-hop fields.
    ("9110 7.6.1", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nA: b\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n")),
    ("9110 7.6.1", b"GET http://h/ HTTP/1.0\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nHost: h\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 10.1.4", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nTE: gzip, trailers\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n")),
    ("9110 7.8", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")),
    ("9110 7.8", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", Goes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")),
    ("9110 7.6.2", b"OPTIONS http://h/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 5\r\n\r\n", Goes(b"OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 4\r\n\r\n")),
    ("9110 7.6.2", b"OPTIONS http://h/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", Answered("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n")),
    ("9110 9.3.8", b"TRACE http://h/x HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nCookie: s\r\nAuthorization: s\r\nProxy-Authorization: s\r\nA: b\r\n\r\n", Answered("\r\n\r\nTRACE http://h:80/x HTTP/1.1\r\nhost: h\r\nmax-forwards: 0\r\na: b\r\n")),
    // Content.
    ("9112 6.2", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", Goes(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")),
    ("9112 6.2", b"GET http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", Goes(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")),
    ("9112 7.1", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\n\r\n", Goes(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")),
    ("9112 7.1.2", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nTrailer: S\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nS: 1\r\n\r\n", Goes(b"PUT / HTTP/1.1\r\nHost: h\r\nTrailer: S\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nS: 1\r\n\r\n")),
    ("9110 10.1.1", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", Goes(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")),
    ("9110 10.1.1", b"PUT http://h/ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", Goes(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nHost: h\r\n\r\na")),
    ("9112 6.3", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, "both Content-Length and Transfer-Encoding")),
    ("9112 6.3", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", Refused(400, "not one number")),
    ("9112 6.3", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc", Refused(400, "not one number")),
    ("9112 6.1", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused(400, "does not end with chunked")),
    ("9112 6.1", b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(501, "coding other than chunked")),
    ("9112 6.1", b"PUT http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, "HTTP/1.0 knows no")),
    // CONNECT.
    ("9110 9.3.6", b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nearly", Tunnel("early")),
    ("9110 9.3.6", b"CONNECT h:443 HTTP/1.0\r\nContent-Length: 0\r\n\r\nGET / HTTP/9\r\n", Tunnel("GET / HTTP/9\r\n")),
    ("9110 9.3.6", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: x\r\n\r\n", Tunnel("")),
    ("9110 9.3.6", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", Refused(400, "CONNECT has no content")),
];
