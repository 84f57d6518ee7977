//! The failure table: each kind of failure in each client protocol, byte for byte.

use std::fs::{self, Permissions};
use std::io::{BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use crate::support::closed_port;
use crate::support::content::Content;
use crate::support::curl::Curl;
use crate::support::http::Response;
use crate::support::link::Link;
use crate::support::program::Sockeye;
use crate::support::resolver::Resolver;
use crate::support::scripted::{Script, Scripted};
use crate::support::socks::{Protocol, connect, exchange, socks5_command};
use crate::support::sshd::Sshd;
use crate::support::target::{Target, Unanswering};
use crate::support::web::Web;

/// A row of the table: the SOCKS5 reply code, the HTTP status, and the error type of RFC 9209.
#[derive(Clone, Copy, Debug)]
struct Row(u8, u16, &'static str);

const REFUSED: Row = Row(5, 502, "connection_refused");
const NOT_FOUND: Row = Row(4, 502, "dns_error");
const NO_ROUTE: Row = Row(4, 502, "destination_ip_unroutable");
const NO_NETWORK: Row = Row(3, 502, "destination_ip_unroutable");
const TIMED_OUT: Row = Row(6, 504, "connection_timeout");
const UNCERTAIN: Row = Row(1, 502, "destination_unavailable");
const PROHIBITED: Row = Row(2, 403, "destination_ip_prohibited");
const SERVER_FULL: Row = Row(1, 503, "connection_limit_reached");
const NO_SESSION: Row = Row(1, 503, "destination_unavailable");

#[test]
#[ignore = "needs sshd"]
fn a_target_refuses() {
    let sshd = Sshd::start();
    let proxy = Sockeye::start(&sshd.ssh_config());
    assert_row(REFUSED, proxy.address(), "127.0.0.1", closed_port());
}

#[test]
#[ignore = "needs sshd, unshare, root"]
fn a_name_is_not_found() {
    let Some(resolver) = Resolver::start() else { return };
    let sshd = Sshd::asking(resolver);
    let proxy = Sockeye::start(&sshd.ssh_config());
    assert_row(NOT_FOUND, proxy.address(), "nowhere.invalid", 80);
    assert!(sshd.looked_up().iter().any(|name| name == "nowhere.invalid"), "not on the far side");
}

#[test]
#[ignore = "needs sshd"]
fn a_server_forbids() {
    let sshd = Sshd::with(&["PermitOpen 127.0.0.1:1"]);
    let proxy = Sockeye::start(&sshd.ssh_config());
    assert_row(PROHIBITED, proxy.address(), "127.0.0.1", 2);
}

#[test]
#[ignore = "needs sshd; takes the whole deadline"]
fn a_target_does_not_answer() {
    let (target, sshd) = (Unanswering::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    assert_row(TIMED_OUT, proxy.address(), "127.0.0.1", target.port());
}

#[test]
#[ignore = "needs ssh; takes the whole deadline"]
fn a_server_does_not_answer() {
    let server = Scripted::start(Script::Ignore);
    let proxy = Sockeye::start(&server.ssh_config());
    assert_row(TIMED_OUT, proxy.address(), "target.example", 80);
}

/// It is unknown whether the request reached the target, which must not be blamed.
#[test]
#[ignore = "needs sshd; takes the whole deadline"]
fn a_server_stops_responding() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let link = Link::to(sshd.port());
    let proxy = Sockeye::start(&sshd.ssh_config_through(link.port()));
    link.hold();
    assert_row(NO_SESSION, proxy.address(), "127.0.0.1", target.port());
    let log = proxy.log();
    assert!(!log.contains("the target did not answer"), "{log}");
}

#[test]
#[ignore = "needs sshd; takes the whole deadline"]
fn there_is_no_session() {
    let sshd = Sshd::start();
    let link = Link::to(sshd.port());
    let proxy = Sockeye::start(&sshd.ssh_config_through(link.port()));
    link.lead_to(closed_port());
    link.cut();
    assert_row(NO_SESSION, proxy.address(), "127.0.0.1", 80);
}

/// Failures that a server on loopback cannot produce, in the words of OpenSSH on Linux.
#[test]
#[ignore = "needs ssh"]
fn a_server_gives_a_reason() {
    for (code, text, row) in [
        (2, "Connection refused", REFUSED),
        (2, "Name or service not known", NOT_FOUND),
        (2, "Temporary failure in name resolution", NOT_FOUND),
        (2, "No address associated with hostname", NOT_FOUND),
        (2, "No route to host", NO_ROUTE),
        (2, "Network is unreachable", NO_NETWORK),
        (2, "Connection timed out", TIMED_OUT),
        (2, "Ask again <b>tomorrow</b>", UNCERTAIN),
        (2, "", UNCERTAIN),
        (3, "unknown channel type", PROHIBITED),
        (4, "out of channels", SERVER_FULL),
        (77, "a code of its own", UNCERTAIN),
        (1, "open failed", PROHIBITED),
    ] {
        let server = Scripted::start(Script::Refuse(code, text));
        let proxy = Sockeye::start(&server.ssh_config());
        assert_row(row, proxy.address(), "target.example", 80);
        let asked = server.seen().asked;
        assert_eq!(asked.len(), 4, "{text:?}: a refused open is not tried again");
    }
}

#[test]
#[ignore = "needs ssh"]
fn unsupported_socks_commands_are_refused() {
    let server = Scripted::start(Script::Close);
    let proxy = Sockeye::start(&server.ssh_config());
    let socks5 = |request: Vec<u8>| exchange(proxy.address(), &[vec![5, 1, 0], request].concat());
    for (name, command) in [("BIND", 2), ("UDP ASSOCIATE", 3), ("an unknown command", 9)] {
        let answer = socks5(socks5_command(command, "127.0.0.1", 80));
        assert_eq!(answer, [&[5, 0], &socks5_refusal(7)[..]].concat(), "{name}");
    }
    let unknown_address_type = vec![5, 1, 0, 9, 1, 2, 3, 4, 0, 80];
    assert_eq!(socks5(unknown_address_type), [&[5, 0], &socks5_refusal(8)[..]].concat());
    assert_eq!(exchange(proxy.address(), b"\x04\x02\0\x50\x7f\0\0\x01me\0"), SOCKS4_REFUSAL);
    assert!(server.seen().asked.is_empty(), "nothing of this reaches a server");
}

#[test]
#[ignore = "needs ssh"]
fn a_client_without_the_password_is_told_so() {
    let server = Scripted::start(Script::Close);
    let (proxy, _file) = with_password(&server.ssh_config());
    let address = proxy.address();
    // RFC 1928 section 3: no acceptable method.
    assert_eq!(exchange(address, &[5, 1, 0]), [5, 0xff]);
    // RFC 1929 section 2.
    assert_eq!(exchange(address, b"\x05\x01\x02\x01\x04user\x05guess"), [5, 2, 1, 1]);
    assert_eq!(exchange(address, b"\x05\x02\x00\x02\x01\x04User\x06secret"), [5, 2, 1, 1]);
    assert_eq!(exchange(address, &Protocol::Socks4.request("127.0.0.1", 80)), SOCKS4_REFUSAL);
    for credentials in [None, Some("dXNlcjpndWVzcw=="), Some("not base64")] {
        for target in ["CONNECT target.example:80", "GET http://target.example/"] {
            let field = credentials
                .map(|value| format!("Proxy-Authorization: Basic {value}\r\n"))
                .unwrap_or_default();
            let response =
                http(address, &format!("{target} HTTP/1.1\r\nHost: target.example\r\n{field}"));
            assert_eq!(response.head.status(), 407, "{target}, {credentials:?}");
            let challenge = response.head.field("proxy-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Basic realm="), "{challenge:?}");
        }
    }
    assert!(server.seen().asked.is_empty(), "nothing of this reaches a server");
    let log = proxy.log();
    assert!(!log.contains("guess") && !log.contains("secret"), "{log}");
    assert_eq!(log.matches("a wrong user name or password").count(), 1, "once a minute: {log}");
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_client_with_the_password_is_served() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let (proxy, _file) = with_password(&sshd.ssh_config());
    for (scheme, form) in [("socks5h", "--proxy-basic"), ("http", "--proxy-basic"), ("http", "-p")]
    {
        let through = format!("{scheme}://user:secret@{}", proxy.address());
        let fetched = Curl::through(&through).arguments(&[form]).fetch(&web.named_url("/fields"));
        let fields = String::from_utf8(fetched.body()).expect("text");
        assert!(!fields.contains("proxy-authorization"), "the target learns the password");
    }
    let fetched = Curl::through(&format!("socks5h://user:secret@{}", proxy.address()))
        .fetch(&web.named_url("/bytes/1000"));
    assert_eq!(fetched.body(), Content::of(1000).bytes());
    assert!(!proxy.log().contains("secret"));
}

/// The error page contains the server's words as text and not as markup.
#[test]
#[ignore = "needs ssh"]
fn the_page_is_escaped() {
    let server = Scripted::start(Script::Refuse(1, "<script>alert(1)</script>\u{1b}[31m"));
    let proxy = Sockeye::start(&server.ssh_config());
    let response = get(proxy.address(), "target.example", 80);
    let page = String::from_utf8(response.body).expect("text");
    assert!(page.contains("target.example"), "{page}");
    assert!(!page.contains("<script>") && !page.contains('\u{1b}'), "{page}");
    let fields = format!("{:?}", response.head.fields());
    assert!(!fields.contains("<script>") && !fields.contains("\\u{1b}"), "{fields}");
    assert!(!proxy.log().contains("\u{1b}[31m"), "the log is escaped too");
}

/// Sends the request in all protocols at once, and compares the answers.
#[track_caller]
fn assert_row(Row(reply, status, error): Row, proxy: SocketAddr, host: &str, port: u16) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let answer = Protocol::Socks5.refusal(proxy, host, port);
            assert_eq!(answer, socks5_refusal(reply), "SOCKS5 {host}:{port}");
        });
        scope.spawn(|| {
            let answer = Protocol::Socks4.refusal(proxy, host, port);
            assert_eq!(answer, SOCKS4_REFUSAL, "SOCKS4 {host}:{port}");
        });
        scope.spawn(|| {
            let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
            assert_response(&http(proxy, &request), status, error, host);
        });
        scope.spawn(|| assert_response(&get(proxy, host, port), status, error, host));
    });
}

#[track_caller]
fn assert_response(response: &Response, status: u16, error: &str, host: &str) {
    let proxy_status = response.head.field("proxy-status").unwrap_or_default();
    assert_eq!(response.head.status(), status, "{host}, Proxy-Status: {proxy_status}");
    assert!(proxy_status.contains(&format!("error={error}")), "Proxy-Status: {proxy_status}");
    let page = String::from_utf8_lossy(&response.body);
    assert!(page.contains(host), "the page names the destination: {page}");
}

fn get(proxy: SocketAddr, host: &str, port: u16) -> Response {
    http(proxy, &format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n"))
}

/// Sends a head, adding its final empty line, and reads the response.
#[track_caller]
fn http(proxy: SocketAddr, head: &str) -> Response {
    let mut stream = connect(proxy);
    write!(stream, "{head}\r\n").expect("sent");
    Response::read(&mut BufReader::new(stream.take(1 << 20))).expect("a response")
}

/// The program with the password `user:secret`, and its password file.
fn with_password(ssh_config: &std::path::Path) -> (Sockeye, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "user:secret\n").expect("a file");
    fs::set_permissions(file.path(), Permissions::from_mode(0o600)).expect("a mode");
    let path = file.path().to_str().expect("a path in UTF-8");
    (Sockeye::with(ssh_config, &["--proxy-auth", path]), file)
}

/// RFC 1928 section 6, with an unspecified address.
fn socks5_refusal(reply: u8) -> [u8; 10] {
    [5, reply, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// "Request rejected or failed"; the remaining bytes are to be ignored, and are 0.
const SOCKS4_REFUSAL: [u8; 8] = [0, 0x5b, 0, 0, 0, 0, 0, 0];
