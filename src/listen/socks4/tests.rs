use proptest::prelude::*;
use tokio::io::{BufReader, duplex};

use super::*;
use crate::listen::brake::BySource;
use crate::listen::testing::credentials;
use crate::request::Source;

fn request(command: u8, port: u16, ip: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![4, command];
    bytes.extend(port.to_be_bytes());
    bytes.extend(ip);
    bytes.extend(rest);
    bytes
}

/// The result of `accept` for these bytes, the reply, and the unread bytes.
async fn accept_all(
    bytes: &[u8],
    checker: Option<&Checker<'_>>,
) -> (Result<SocksRequest, SocksError>, Vec<u8>, Vec<u8>) {
    let (mut client, server) = duplex(4096);
    client.write_all(bytes).await.expect("room");
    client.shutdown().await.expect("open");
    let mut server = BufReader::new(server);
    let result = accept(&mut server, checker).await;
    let mut left = Vec::new();
    server.read_to_end(&mut left).await.expect("in memory");
    drop(server);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("in memory");
    (result, answer, left)
}

fn accepted(protocol: Protocol, destination: &str) -> SocksRequest {
    let destination = Destination::parse(destination, None).expect("good");
    SocksRequest { version: Version::Four, protocol, user: None, destination }
}

#[tokio::test]
async fn an_address_and_a_name_with_data_behind() {
    let bytes = request(1, 80, [192, 0, 2, 7], b"me\0early");
    let (result, answer, left) = accept_all(&bytes, None).await;
    assert_eq!(result.expect("good"), accepted(Protocol::Socks4, "192.0.2.7:80"));
    assert_eq!((answer.as_slice(), left.as_slice()), (&b""[..], &b"early"[..]));

    let bytes = request(1, 443, [0, 0, 0, 9], b"\0Example.COM\0early");
    let (result, answer, left) = accept_all(&bytes, None).await;
    assert_eq!(result.expect("good"), accepted(Protocol::Socks4a, "example.com:443"));
    assert_eq!((answer.as_slice(), left.as_slice()), (&b""[..], &b"early"[..]));
}

#[tokio::test]
async fn refusals_are_answered() {
    let long = [b'x'; 256];
    let name = |name: &[u8]| request(1, 80, [0, 0, 0, 1], &[b"\0", name, b"\0"].concat());
    let cases = [
        ("BIND", request(2, 80, [192, 0, 2, 7], b"\0")),
        ("command 0", request(0, 80, [192, 0, 2, 7], b"\0")),
        ("command 255", request(255, 80, [192, 0, 2, 7], b"\0")),
        ("port 0", request(1, 0, [192, 0, 2, 7], b"\0")),
        ("long user id", request(1, 80, [192, 0, 2, 7], &long)),
        ("long name", name(&long)),
        ("empty name", name(b"")),
        ("name with a space", name(b"a b")),
        ("name with a line end", name(b"a\r\nb")),
        ("name not UTF-8", name(b"\xff\xfe")),
        ("name with a user", name(b"me@host")),
        ("IPv6 zone", name(b"fe80::1%eth0")),
    ];
    for (what, bytes) in cases {
        let (result, answer, _) = accept_all(&bytes, None).await;
        assert!(result.is_err(), "{what}");
        assert_eq!(answer, [0, 0x5b, 0, 0, 0, 0, 0, 0], "{what}");
    }
    // The longest accepted texts.
    let name = vec!["a".repeat(49); 5].join(".");
    let rest = [&long[..255], b"\0", name.as_bytes(), b"\0"].concat();
    let (result, _, _) = accept_all(&request(1, 80, [0, 0, 0, 1], &rest), None).await;
    assert_eq!(result.expect("good").destination.to_string(), format!("{name}:80"));
}

#[tokio::test]
async fn a_required_password_is_a_refusal() {
    let bytes = request(1, 80, [192, 0, 2, 7], b"ada\0");
    let (credentials, brakes) = (credentials(), BySource::default());
    let checker = Checker::new(&credentials, &brakes, Source::Unix);
    let (result, answer, left) = accept_all(&bytes, Some(&checker)).await;
    assert!(matches!(result, Err(SocksError::NeedsPassword)));
    assert_eq!(answer, [0, 0x5b, 0, 0, 0, 0, 0, 0]);
    assert!(left.is_empty(), "the whole request is read before the reply");
}

#[tokio::test]
async fn a_client_that_leaves_gets_no_answer() {
    let bytes = request(1, 80, [0, 0, 0, 1], b"me\0example.com\0");
    for length in 0..bytes.len() {
        let (result, answer, _) = accept_all(&bytes[..length], None).await;
        assert!(matches!(result, Err(SocksError::Gone(_))), "{length}");
        assert!(answer.is_empty(), "{length}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (result, answer, _) = runtime.block_on(accept_all(&bytes, None));
        // Only refused requests have a reply.
        let refused = matches!(&result, Err(error) if !matches!(error, SocksError::Gone(_)));
        prop_assert_eq!(answer.len(), if refused { 8 } else { 0 });
    }
}
