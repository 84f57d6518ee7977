use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::Method;
use proptest::prelude::*;

use super::*;

fn to(destination: &str) -> Destination {
    Destination::parse(destination, None).expect("good")
}

/// The fields of a request after its preparation, sorted, one a line.
fn request(fields: &[(&str, &str)]) -> Vec<String> {
    let mut request = Request::get("http://example.com/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Empty::<Bytes>::new()).expect("built");
    prepare_request(&mut request, &to("example.com:80")).expect("no coding");
    lines(request.headers())
}

fn response(fields: &[(&str, &str)], body: &'static str) -> Vec<String> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let mut response = response.body(Full::<Bytes>::from(body)).expect("built");
    prepare_response(&mut response).expect("no coding");
    lines(response.headers())
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", value.to_str().expect("ASCII"))
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn nothing_of_this_hop_goes_on() {
    let fields = [
        ("Host", "other.example"),
        ("Proxy-Connection", "keep-alive"),
        ("Connection", "close, X-Private"),
        ("Connection", "x-second, host,,=bad="),
        ("Keep-Alive", "timeout=5"),
        ("X-Private", "1"),
        ("X-Second", "2"),
        ("X-Public", "3"),
        ("TE", "gzip"),
        ("Proxy-Authorization", "Basic YTpi"),
        ("Proxy-Authenticate", "x"),
        ("Upgrade", "websocket"),
        ("Expect", "100-Continue"),
        ("Trailer", "X-Sum"),
        ("Cookie", "a=b"),
    ];
    let expected = ["cookie: a=b", "host: example.com", "trailer: X-Sum", "x-public: 3"];
    assert_eq!(request(&fields), expected);
}

#[test]
fn what_is_offered_on_is_named() {
    let fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("TE", "trailers, deflate")];
    let expected = [
        "connection: te",
        "connection: upgrade",
        "host: example.com",
        "te: trailers",
        "upgrade: websocket",
    ];
    assert_eq!(request(&fields), expected);
}

#[test]
fn the_host_is_the_uris() {
    for (target, destination, host, origin) in [
        ("http://Example.com", "example.com:80", "example.com", "/"),
        ("http://example.com:8080?q", "example.com:8080", "example.com:8080", "/?q"),
        ("http://[::1]/a/../b?c#d", "[::1]:80", "[::1]", "/a/../b?c"),
        ("http://[::1]:81/%00", "[::1]:81", "[::1]:81", "/%00"),
    ] {
        let mut request = Request::builder().uri(target).version(Version::HTTP_10);
        request.headers_mut().expect("good").append(HOST, HeaderValue::from_static("a"));
        request.headers_mut().expect("good").append(HOST, HeaderValue::from_static("b"));
        let mut request = request.body(Empty::<Bytes>::new()).expect(target);
        prepare_request(&mut request, &to(destination)).expect("no coding");
        assert_eq!(lines(request.headers()), [format!("host: {host}")], "{target}");
        assert_eq!(request.uri(), origin, "{target}");
        assert_eq!(request.version(), Version::HTTP_11);
    }
}

#[test]
fn codings_that_are_not_decoded_are_refused() {
    for (values, taken) in [
        (&["chunked"][..], true),
        (&[" Chunked "], true),
        (&["gzip, chunked"], false),
        (&["chunked", "chunked"], false),
        (&["chunked, chunked"], false),
        (&["identity"], false),
        (&[""], false),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(check_transfer_coding(&headers).is_ok(), taken, "{values:?}");
    }
}

#[test]
fn a_response_has_one_length_or_none() {
    let chunked = [("Transfer-Encoding", "chunked"), ("Content-Length", "3")];
    assert_eq!(response(&chunked, "hello"), [""; 0]);
    assert_eq!(response(&[("Content-Length", "5, 5")], "hello"), ["content-length: 5"]);
    let twice = [("Content-Length", "5"), ("Content-Length", "5")];
    assert_eq!(response(&twice, "hello"), ["content-length: 5"]);
    // The length of what a HEAD did not ask for stays.
    assert_eq!(response(&[("Content-Length", "1234")], ""), ["content-length: 1234"]);
    assert_eq!(response(&[("Content-Length", "12, 12")], ""), [""; 0]);
}

#[test]
fn a_response_loses_what_was_for_us() {
    let fields = [
        ("Connection", "keep-alive, x-hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Upgrade", "h2c"),
        ("Set-Cookie", "a=b"),
        ("Set-Cookie", "c=d"),
    ];
    assert_eq!(response(&fields, ""), ["set-cookie: a=b", "set-cookie: c=d"]);
    let mut switch = Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", "x")
        .body(Empty::<Bytes>::new())
        .expect("built");
    prepare_response(&mut switch).expect("no coding");
    let expected = ["connection: upgrade", "sec-websocket-accept: x", "upgrade: websocket"];
    assert_eq!(lines(switch.headers()), expected);
}

proptest! {
    #[test]
    fn no_connection_field_survives(
        named in "[a-z]{1,8}", list in "[ -~]{0,40}", method in 0_usize..3,
    ) {
        let method = [Method::GET, Method::POST, Method::DELETE][method].clone();
        let mut request = Request::builder()
            .method(method)
            .uri("http://example.com/")
            .header(CONNECTION, format!("{list}, {named}"))
            .header(named.as_str(), "x")
            .body(Empty::<Bytes>::new())
            .expect("built");
        prepare_request(&mut request, &to("example.com:80")).expect("no coding");
        let own = ["te", "host", "upgrade"].contains(&named.as_str());
        prop_assert!(own || !request.headers().contains_key(named.as_str()));
        prop_assert!(own || !request.headers().contains_key(CONNECTION));
    }
}
