use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::Method;
use proptest::prelude::*;

use super::super::wire::head;
use super::super::wire::request::Parsed;
use super::*;

fn to(destination: &str) -> Destination {
    Destination::parse(destination, None).expect("good")
}

/// An HTTP/1.1 head as received.
fn head(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = b"GET http://example.com/ HTTP/1.1\r\nHost: a\r\n".to_vec();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "Host") {
        head::write(&mut head, name, value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    Parsed::new(&head).expect("a good head").head
}

/// The fields of a request after its preparation, in order.
fn request(fields: &[(&str, &str)]) -> Vec<String> {
    let mut request = Request::get("http://example.com/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Empty::<Bytes>::new()).expect("built");
    let uri = Uri::from_static("/x");
    prepare_request(&mut request, &head(fields), &to("example.com:80"), uri);
    assert_eq!((request.uri().path(), request.version()), ("/x", Version::HTTP_11));
    lines(request.headers())
}

fn response(fields: &[(&str, &str)], body: &'static str) -> Vec<String> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let mut response = response.body(Full::<Bytes>::from(body)).expect("built");
    prepare_response(&mut response);
    lines(response.headers())
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", value.to_str().expect("ASCII"))
    };
    headers.iter().map(line).collect()
}

#[test]
fn hop_by_hop_fields_are_removed() {
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
        ("HTTP2-Settings", "AAMAAABk"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X-Sum"),
        ("Cookie", "a=b"),
    ];
    let expected = ["x-public: 3", "trailer: X-Sum", "cookie: a=b", "host: example.com"];
    assert_eq!(request(&fields), expected);
}

/// RFC 9110 section 7.6.1: each named field is removed, even beside an invalid name.
#[test]
fn a_name_counts_beside_an_invalid_one() {
    let list = HeaderValue::from_bytes(b"X-Private,\xe9, upgrade").expect("a value");
    let mut request = Request::get("http://example.com/")
        .header(CONNECTION, &list)
        .header("x-private", "1")
        .header(UPGRADE, "websocket")
        .body(Empty::<Bytes>::new())
        .expect("built");
    let mut response = Response::builder()
        .header(CONNECTION, list)
        .header("x-private", "1")
        .body(Empty::<Bytes>::new())
        .expect("built");
    prepare_request(&mut request, &head(&[]), &to("example.com:80"), Uri::from_static("/"));
    let expected = ["host: example.com", "upgrade: websocket", "connection: Upgrade"];
    assert_eq!(lines(request.headers()), expected);
    prepare_response(&mut response);
    assert_eq!(lines(response.headers()), [""; 0]);
}

#[test]
fn a_forwarded_upgrade_is_named_in_connection() {
    let fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("TE", "trailers, deflate")];
    let expected = [
        "host: example.com",
        "te: trailers",
        "connection: TE",
        "connection: Upgrade",
        "upgrade: websocket",
    ];
    assert_eq!(request(&fields), expected);
}

/// RFC 9110 section 7.8: the offer is ignored.
#[test]
fn an_older_client_is_offered_no_upgrade() {
    let mut old = head(&[]);
    old.version = Version::HTTP_10;
    let mut request = Request::get("http://example.com/")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .body(Empty::<Bytes>::new())
        .expect("built");
    prepare_request(&mut request, &old, &to("example.com:80"), Uri::from_static("/"));
    assert_eq!(lines(request.headers()), ["host: example.com"]);
}

#[test]
fn the_host_is_that_of_the_target_and_keeps_its_place() {
    for (destination, host) in [
        ("example.com:80", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("[::1]:80", "[::1]"),
        ("[::1]:81", "[::1]:81"),
    ] {
        let request = Request::get("/").header("a", "1").header(HOST, "x").header("b", "2");
        let body = Empty::<Bytes>::new();
        let mut request = request.body(body).expect("built");
        prepare_request(&mut request, &head(&[]), &to(destination), Uri::from_static("/"));
        let expected = ["a: 1".to_owned(), format!("host: {host}"), "b: 2".to_owned()];
        assert_eq!(lines(request.headers()), expected);
    }
}

#[test]
fn a_response_loses_its_hop_by_hop_fields() {
    let fields = [
        ("Connection", "keep-alive, x-hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("Transfer-Encoding", "chunked"),
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
    prepare_response(&mut switch);
    let expected = ["sec-websocket-accept: x", "upgrade: websocket", "connection: Upgrade"];
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
        prepare_request(&mut request, &head(&[]), &to("example.com:80"), Uri::from_static("/"));
        let own = ["te", "host", "upgrade"].contains(&named.as_str());
        prop_assert!(own || !request.headers().contains_key(named.as_str()));
        prop_assert!(own || !request.headers().contains_key(CONNECTION));
    }
}
