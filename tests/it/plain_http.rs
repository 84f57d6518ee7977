//! Plain HTTP in absolute form (`http_proxy=`).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use crate::support::content::Content;
use crate::support::http::{Head, Response};
use crate::support::program::Sockeye;
use crate::support::socks::connect;
use crate::support::sshd::Sshd;
use crate::support::web::Web;

#[test]
#[ignore = "needs sshd"]
fn one_connection_carries_many_requests() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let client = connect(proxy.address());
    let mut reader = BufReader::new(&client);
    for length in [0, 1, 1000, 100_000] {
        for form in ["bytes", "chunked"] {
            let url = web.url(&format!("/{form}/{length}"));
            write!(&client, "GET {url} HTTP/1.1\r\nHost: {}\r\n\r\n", web.address()).expect("sent");
            let response = Response::read(&mut reader).expect("a response");
            assert_eq!(response.body, Content::of(length).bytes(), "{form}, {length}");
        }
    }
    assert_eq!(web.requests(), 8);
    assert!(web.connections() <= 8, "no more than one connection a request");
}

#[test]
#[ignore = "needs sshd"]
fn fields_for_the_proxy_are_not_forwarded() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let mut client = connect(proxy.address());
    write!(
        client,
        "GET {} HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-End: 2\r\n\r\n",
        web.url("/fields")
    )
    .expect("sent");
    let response = Response::read(&mut BufReader::new(client)).expect("a response");
    let seen = String::from_utf8(response.body).expect("text");
    let mut lines = seen.lines();
    assert_eq!(lines.next(), Some("GET /fields HTTP/1.1"), "origin form");
    // RFC 9112 section 3.2.2: the request target takes precedence over the Host field.
    assert!(seen.contains(&format!("host: {}", web.address())), "{seen}");
    assert!(seen.contains("x-end: 2"), "{seen}");
    // The proxy adds `TE: trailers`, since it passes trailers in both directions.
    for hop in ["x-hop", "keep-alive", "proxy-connection"] {
        assert!(!seen.contains(hop), "{hop} got through:\n{seen}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_body_waits_for_100_continue() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let client = connect(proxy.address());
    let mut reader = BufReader::new(&client);
    write!(
        &client,
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
        web.url("/sink"),
        web.address()
    )
    .expect("sent");
    let interim = Head::read(&mut reader).expect("a head").expect("an interim response");
    assert_eq!(interim.status(), 100);
    (&client).write_all(&Content::of(5000).bytes()).expect("sent");
    let response = Response::read(&mut reader).expect("a response");
    let sum = Content::of(5000).sum();
    assert_eq!(response.body, format!("5000 {}", sum.sha256).into_bytes());
}

#[test]
#[ignore = "needs sshd"]
fn an_upgrade_becomes_a_tunnel() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let client = connect(proxy.address());
    let mut reader = BufReader::new(&client);
    write!(
        &client,
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        web.url("/upgrade"),
        web.address()
    )
    .expect("sent");
    let head = Head::read(&mut reader).expect("a head").expect("a response");
    assert_eq!(head.status(), 101);
    assert_eq!(head.field("upgrade"), Some("websocket"));
    for text in ["one\n", "two\n"] {
        (&client).write_all(text.as_bytes()).expect("sent");
        let mut back = String::new();
        reader.read_line(&mut back).expect("the echo");
        assert_eq!(back, text);
    }
    client.shutdown(std::net::Shutdown::Write).expect("half-closed");
    assert_eq!(reader.read_to_end(&mut Vec::new()).expect("a clean end"), 0);
}
