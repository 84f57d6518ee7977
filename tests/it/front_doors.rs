//! One port for every protocol, and for unexpected input.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::login::HOST;
use crate::support::program::{Sockeye, program_with_descriptors, program_with_few_descriptors};
use crate::support::scripted::{Script, Scripted};
use crate::support::socks::{Answer, Protocol, connect, exchange, read_to_any_end, socks5_command};
use crate::support::target::reset;
use crate::support::{process, scaled};

#[test]
#[ignore = "needs ssh"]
fn every_protocol_byte_by_byte() {
    let (_server, proxy) = echo();
    for protocol in Protocol::ALL {
        let mut client = connect(proxy.address());
        for byte in protocol.request("target.example", 80) {
            client.write_all(&[byte]).expect("sent");
            thread::sleep(Duration::from_millis(1));
        }
        assert_echo(protocol.read_answer(client).expect("an answer"), b"");
    }
}

#[test]
#[ignore = "needs ssh"]
fn data_sent_with_the_request_arrives_once_and_in_order() {
    let (_server, proxy) = echo();
    for protocol in Protocol::ALL {
        let mut client = connect(proxy.address());
        let early = b"sent along";
        let bytes = [protocol.request("target.example", 80), early.to_vec()].concat();
        client.write_all(&bytes).expect("sent");
        assert_echo(protocol.read_answer(client).expect("an answer"), early);
    }
}

#[test]
#[ignore = "needs ssh"]
fn half_finished_greetings_block_nobody() {
    let (_server, proxy) = echo();
    let mut waiting: Vec<TcpStream> = (0..scaled(300, 5000))
        .map(|number| {
            let mut client = connect(proxy.address());
            // The limit on greetings may have closed this connection already.
            let _ = client.write_all(HALF_GREETINGS[number % HALF_GREETINGS.len()]);
            client
        })
        .collect();
    for protocol in Protocol::ALL {
        let answer = protocol.ask(proxy.address(), "target.example", 80).expect("an answer");
        assert_echo(answer, b"");
    }
    for client in &mut waiting {
        // This panics if the connection is still open.
        let _ = read_to_any_end(client);
    }
}

#[test]
#[ignore = "needs ssh, bash"]
fn without_descriptors_it_waits_and_recovers() {
    let server = Scripted::start(Script::EchoAfter(Duration::ZERO));
    let mut command = program_with_descriptors(256);
    command.arg("-F").arg(server.ssh_config()).args(["-D", "127.0.0.1:0", HOST]);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("connected to ");
    let address = proxy.address();
    let waiting: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    let before = process::cpu_ticks(proxy.pid());
    thread::sleep(Duration::from_secs(2));
    let used = process::cpu_ticks(proxy.pid()) - before;
    assert!(used < 100, "it spins: {used} of 200 ticks");
    drop(waiting);
    assert_echo(Protocol::Socks5.ask(address, "target.example", 80).expect("an answer"), b"");
    let log = proxy.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("Too many open files")).collect();
    assert_eq!(told.len(), 1, "once, and as what it is:\n{log}");
    assert!(!log.contains("asleep"), "what cannot be looked at has not changed:\n{log}");
}

#[test]
#[ignore = "needs ssh, bash"]
fn a_soft_limit_that_can_be_raised_does_not_matter() {
    let server = Scripted::start(Script::EchoAfter(Duration::ZERO));
    let mut command = program_with_few_descriptors(64);
    command.arg("-F").arg(server.ssh_config()).args(["-D", "127.0.0.1:0", HOST]);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("connected to ");
    let _waiting: Vec<TcpStream> = (0..100).map(|_| connect(proxy.address())).collect();
    let answer = Protocol::Socks5.ask(proxy.address(), "target.example", 80);
    assert_echo(answer.expect("an answer"), b"");
    assert!(!proxy.log().contains("Too many open files"), "{}", proxy.log());
}

#[test]
#[ignore = "needs ssh"]
fn malformed_socks_is_refused() {
    let (server, proxy) = echo();
    let five = |request: Vec<u8>| [vec![5, 1, 0], request].concat();
    let name = |name: &str| five(socks5_command(1, name, 80));
    let four = |rest: &[u8]| [&[4, 1], rest].concat();
    let refused = [
        vec![5, 0],
        vec![5, 2, 1, 0x80],
        five(vec![4, 1, 0, 1, 127, 0, 0, 1, 0, 80]),
        five(socks5_command(1, "127.0.0.1", 0)),
        name(""),
        name("a b"),
        name("a\0b"),
        name("a\r\nb"),
        name("user@target.example"),
        name("fe80::1%eth0"),
        name("target..example"),
        name(&"a".repeat(64)),
        name(&"ab.".repeat(85)),
        four(b"\0\0\x7f\0\0\x01me\0"),
        four(b"\0\x50\0\0\0\x01me\0\0"),
        four(b"\0\x50\0\0\0\x01me\0a b\0"),
        four(&[b"\0\x50\0\0\0\x01me\0", "a".repeat(300).as_bytes(), b"\0"].concat()),
        four(&[b"\0\x50\x7f\0\0\x01", "u".repeat(70_000).as_bytes()].concat()),
        vec![4, 9, 0, 80, 127, 0, 0, 1, 0],
        vec![0],
        vec![6, 1, 0],
        vec![0xff; 600],
        TLS_HELLO.to_vec(),
    ];
    assert_all_refused(&proxy, &refused);
    assert!(server.seen().asked.is_empty(), "{:?}", server.seen().asked);
}

#[test]
#[ignore = "needs ssh"]
fn malformed_http_is_refused() {
    let (server, proxy) = echo();
    let host = "Host: target.example\r\n\r\n";
    let big = format!("X-Big: {}\r\n", "x".repeat(300 * 1024));
    let refused: Vec<Vec<u8>> = [
        format!("CONNECT target.example HTTP/1.1\r\n{host}"),
        format!("CONNECT target.example:0 HTTP/1.1\r\n{host}"),
        format!("CONNECT target.example:65536 HTTP/1.1\r\n{host}"),
        format!("CONNECT target.example:+80 HTTP/1.1\r\n{host}"),
        format!("CONNECT :80 HTTP/1.1\r\n{host}"),
        format!("CONNECT user@target.example:80 HTTP/1.1\r\n{host}"),
        format!("CONNECT [fe80::1%25eth0]:80 HTTP/1.1\r\n{host}"),
        format!("CONNECT http://target.example/ HTTP/1.1\r\n{host}"),
        format!("CONNECT target.example:80 HTTP/1.1\r\nContent-Length: 5\r\n{host}hello"),
        format!("CONNECT target.example:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{host}"),
        format!("GET http://user:secret@target.example/ HTTP/1.1\r\n{host}"),
        format!("GET http://target.example:0/ HTTP/1.1\r\n{host}"),
        format!("GET http://target.example:65536/ HTTP/1.1\r\n{host}"),
        format!("GET http:/// HTTP/1.1\r\n{host}"),
        format!("GET https://target.example/ HTTP/1.1\r\n{host}"),
        format!("GET ftp://target.example/ HTTP/1.1\r\n{host}"),
        format!("GET http://[fe80::1%25eth0]/ HTTP/1.1\r\n{host}"),
        format!("GET http://target.example/ HTTP/1.1\r\n{big}{host}"),
        format!("GET http://{}/ HTTP/1.1\r\n{host}", "a".repeat(300)),
        format!("GET http://target.example/ HTTP/1.1\r\nBad Name: x\r\n{host}"),
        format!("GET http://target.example/ HTTP/1.1\r\nX: a\0b\r\n{host}"),
        format!(
            "POST http://target.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n{host}ab"
        ),
        format!("POST http://target.example/ HTTP/1.1\r\nContent-Length: -1\r\n{host}"),
        format!("GET / HTTP/1.1\r\n{host}"),
        format!("GET http://target.example/ HTTP/9.9\r\n{host}"),
        String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
    .map(String::into_bytes)
    .into();
    assert_all_refused(&proxy, &refused);
    assert!(server.seen().asked.is_empty(), "{:?}", server.seen().asked);
}

/// A web page can make the browser send origin-form requests to the port, with a body of its choice.
#[test]
#[ignore = "needs ssh"]
fn a_hostile_page_gets_one_refusal_and_no_more() {
    let (server, proxy) = echo();
    let bodies = [
        b"CONNECT target.example:80 HTTP/1.1\r\nHost: target.example\r\n\r\n".to_vec(),
        b"GET http://target.example/ HTTP/1.1\r\nHost: target.example\r\n\r\n".to_vec(),
        Protocol::Socks5.request("target.example", 80),
        Protocol::Socks4.request("target.example", 80),
    ];
    for body in bodies {
        for length in [body.len(), 0] {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: {}\r\nOrigin: http://evil.example\r\n\
                 Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n",
                proxy.address()
            );
            let answer = exchange(proxy.address(), &[head.as_bytes(), &body].concat());
            let text = String::from_utf8_lossy(&answer);
            assert!(text.starts_with("HTTP/1.1 4"), "{text}");
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
            assert!(!text.to_ascii_lowercase().contains("access-control-allow"), "{text}");
        }
    }
    assert!(server.seen().asked.is_empty(), "{:?}", server.seen().asked);
}

#[test]
#[ignore = "needs ssh"]
fn one_host_has_one_spelling_on_the_far_side() {
    let (server, proxy) = echo();
    let same = [
        ("127.0.0.1", &["127.0.0.1", "127.1", "0x7f000001", "2130706433", "::ffff:127.0.0.1"][..]),
        ("target.example", &["target.example", "Target.EXAMPLE", "target.example."]),
        ("xn--bcher-kva.example", &["xn--bcher-kva.example", "XN--BCHER-KVA.example"]),
        ("::1", &["::1", "0:0:0:0:0:0:0:1"]),
    ];
    let mut expected = Vec::new();
    for (host, spellings) in same {
        for spelling in spellings {
            for protocol in Protocol::ALL {
                drop(protocol.open(proxy.address(), spelling, 80));
                expected.push((host.to_owned(), 80));
            }
        }
    }
    assert_eq!(server.seen().asked, expected);
}

#[test]
#[ignore = "needs ssh"]
fn a_client_that_resets_during_its_greeting_leaves_nothing() {
    let (_server, proxy) = echo();
    for half in HALF_GREETINGS {
        let mut client = connect(proxy.address());
        client.write_all(half).expect("sent");
        reset(client).expect("an option");
    }
    assert_echo(
        Protocol::Socks5.ask(proxy.address(), "target.example", 80).expect("an answer"),
        b"",
    );
}

/// The program with a server on which every target is an echo.
fn echo() -> (Scripted, Sockeye) {
    let server = Scripted::start(Script::EchoAfter(Duration::ZERO));
    let proxy = Sockeye::start(&server.ssh_config());
    (server, proxy)
}

/// Checks that the tunnel is open, and has carried `early` and nothing else.
#[track_caller]
fn assert_echo(answer: Answer, early: &[u8]) {
    let Answer::Open(mut client) = answer else { panic!("{answer:?}") };
    client.write_all(b", and more").expect("sent");
    let mut bytes = vec![0; early.len() + 10];
    client.read_exact(&mut bytes).expect("the echo");
    assert_eq!(bytes, [early, b", and more"].concat());
}

/// Checks that each request gets a refusal or no answer, and that the connection ends.
fn assert_all_refused(proxy: &Sockeye, requests: &[Vec<u8>]) {
    let address = proxy.address();
    // Concurrently, because an incomplete request ends only at the deadline for greetings.
    thread::scope(|scope| {
        for request in requests {
            scope.spawn(move || assert_refused(address, request));
        }
    });
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

#[track_caller]
fn assert_refused(address: SocketAddr, request: &[u8]) {
    let answer = exchange(address, request);
    let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
    let refused = match answer.as_slice() {
        [] | [5, 0xff | 0] | [0, 0x5b, ..] => true,
        [5, 0, 5, reply, ..] => *reply != 0,
        http => http.starts_with(b"HTTP/1.1 4") || http.starts_with(b"HTTP/1.1 50"),
    };
    assert!(refused, "{shown:?} was answered with {:?}", String::from_utf8_lossy(&answer));
}

const HALF_GREETINGS: [&[u8]; 7] = [
    b"",
    b"\x05",
    b"\x05\x02\x00",
    b"\x05\x01\x00\x05\x01",
    b"\x04\x01\x00",
    b"CONN",
    b"GET http:",
];
/// The start of a connection from a browser that takes the port for https.
const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
