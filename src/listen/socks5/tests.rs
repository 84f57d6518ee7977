use proptest::prelude::*;
use tokio::io::{BufReader, duplex};

use super::*;
use crate::dial::MissingSession;
use crate::listen::brake::BySource;
use crate::listen::proxy_auth::ProxyCredentials;
use crate::listen::testing::credentials;
use crate::request::Source;

/// The result of `accept` for these bytes, the reply, and the unread bytes.
async fn accept_all(
    bytes: &[u8],
    credentials: Option<&ProxyCredentials>,
) -> (Result<SocksRequest, SocksError>, Vec<u8>, Vec<u8>) {
    let (mut client, server) = duplex(4096);
    client.write_all(bytes).await.expect("room");
    client.shutdown().await.expect("open");
    let mut server = BufReader::new(server);
    let brakes = BySource::default();
    let checker = credentials.map(|known| Checker::new(known, &brakes, Source::Unix));
    let result = accept(&mut server, checker.as_ref()).await;
    let mut left = Vec::new();
    server.read_to_end(&mut left).await.expect("in memory");
    drop(server);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("in memory");
    (result, answer, left)
}

fn name(name: &[u8], port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    [&[5, 1, 0, 3, length], name, &port.to_be_bytes()].concat()
}

const V4: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 7, 0, 80];

#[tokio::test]
async fn every_address_type_with_data_behind() {
    let v6 = [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1, 0, 80]].concat();
    for (request, destination) in [
        (V4.to_vec(), "192.0.2.7:80"),
        (v6, "[2001:db8::1]:80"),
        (name(b"Example.COM", 443), "example.com:443"),
        (name(b"127.1", 443), "127.0.0.1:443"),
        (name(b"::1", 443), "[::1]:443"),
        (name(vec!["a".repeat(49); 5].join(".").as_bytes(), 1), ""),
    ] {
        let bytes = [&[5, 1, 0], request.as_slice(), b"early"].concat();
        let (result, answer, left) = accept_all(&bytes, None).await;
        let accepted = result.expect(destination);
        if !destination.is_empty() {
            assert_eq!(accepted.destination.to_string(), destination);
        }
        assert_eq!(answer, [5, 0], "{destination}");
        assert_eq!(left, b"early", "{destination}");
    }
}

/// TCP may split writes. The first method is that of a client that supports only passwords.
#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time() {
    let credentials = credentials();
    let brakes = BySource::default();
    let checker = Checker::new(&credentials, &brakes, Source::Unix);
    for (methods, checker) in
        [(&[5, 2, 0, 2][..], Some(&checker)), (&[5, 1, 2], Some(&checker)), (&[5, 1, 2], None)]
    {
        let (client, server) = duplex(1);
        let (mut read, mut write) = tokio::io::split(client);
        let bytes = [methods, b"\x01\x03ada\x06secret", &name(b"example.com", 443)].concat();
        let send = async { write.write_all(&bytes).await.expect("taken") };
        let receive = async {
            let mut answer = [0; 4];
            read.read_exact(&mut answer).await.expect("an answer");
            answer
        };
        let serve = async move { accept(&mut BufReader::new(server), checker).await };
        let (result, (), answer) = tokio::join!(serve, send, receive);
        let accepted = result.expect("good");
        assert_eq!(accepted.user.as_deref(), Some("ada"));
        assert_eq!(accepted.destination.to_string(), "example.com:443");
        assert_eq!(answer, [5, 2, 1, 0]);
    }
}

/// Without required passwords, any is accepted, and the name counts for rules.
#[tokio::test(start_paused = true)]
async fn an_unrequired_name_and_password() {
    for (methods, given, user, answer) in [
        (&[5, 1, 2][..], &b"\x01\x03ada\x01x"[..], Some("ada"), &[5, 2, 1, 0][..]),
        (&[5, 2, 2, 0x80], b"\x01\x03ada\x01x", Some("ada"), &[5, 2, 1, 0]),
        (&[5, 1, 2], b"\x01\x03ada\x00", Some("ada"), &[5, 2, 1, 0]),
        (&[5, 1, 2], b"\x01\x00\x01x", None, &[5, 2, 1, 0]),
        (&[5, 1, 2], b"\x01\x00\x00", None, &[5, 2, 1, 0]),
        (&[5, 2, 2, 0], b"", None, &[5, 0]),
    ] {
        let (result, said, left) =
            accept_all(&[methods, given, &V4, b"early"].concat(), None).await;
        assert_eq!(result.expect("any will do").user.as_deref(), user);
        assert_eq!((said.as_slice(), left.as_slice()), (answer, &b"early"[..]), "{methods:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn methods() {
    let credentials = credentials();
    // No method, only unsupported ones, or not the required one.
    for (methods, credentials) in [
        (&[5, 0][..], None),
        (&[5, 2, 1, 0x80], None),
        (&[5, 1, 0], Some(&credentials)),
        (&[5, 0], Some(&credentials)),
    ] {
        let bytes = [methods, &V4].concat();
        let (result, answer, _) = accept_all(&bytes, credentials).await;
        assert!(matches!(result, Err(SocksError::NoMethod)), "{methods:?}");
        assert_eq!(answer, [5, 0xff], "{methods:?}");
    }
    let all: Vec<u8> = [5, 255].into_iter().chain((0..255).rev()).chain(V4).collect();
    let (result, answer, _) = accept_all(&all, None).await;
    assert!(result.is_ok());
    assert_eq!(answer, [5, 0]);
}

#[tokio::test(start_paused = true)]
async fn wrong_and_malformed_passwords_are_answered() {
    let credentials = credentials();
    for (what, words) in [
        ("wrong password", &b"\x01\x03ada\x06sesame"[..]),
        ("wrong user", b"\x01\x03eve\x06secret"),
        ("empty user", b"\x01\x00\x06secret"),
        ("empty password", b"\x01\x03ada\x00"),
        ("user not UTF-8", b"\x01\x03\xff\xfe\xfd\x06secret"),
        ("password not UTF-8", b"\x01\x03ada\x01\xff"),
        ("wrong version", b"\x05\x03ada\x06secret"),
    ] {
        let bytes = [&[5, 1, 2], words, &V4].concat();
        let (result, answer, _) = accept_all(&bytes, Some(&credentials)).await;
        assert!(matches!(result, Err(SocksError::Authentication)), "{what}");
        assert_eq!(answer, [5, 2, 1, 1], "{what}");
    }
}

#[tokio::test]
async fn refusals_are_answered() {
    let command = |command| {
        let mut request = V4;
        request[1] = command;
        request.to_vec()
    };
    for (what, request, code) in [
        ("BIND", command(2), 7),
        ("UDP ASSOCIATE", command(3), 7),
        ("command 0", command(0), 7),
        ("command 255", command(255), 7),
        ("address type 0", vec![5, 1, 0, 0, 1, 2, 3, 4, 0, 80], 8),
        ("address type 2", vec![5, 1, 0, 2, 1, 2, 3, 4, 0, 80], 8),
        ("address type 255", vec![5, 1, 0, 255, 1, 2, 3, 4, 0, 80], 8),
        ("version 4", vec![4, 1, 0, 1, 1, 2, 3, 4, 0, 80], 1),
        ("port 0", vec![5, 1, 0, 1, 192, 0, 2, 7, 0, 0], 1),
        ("empty name", name(b"", 80), 1),
        ("NUL", name(b"a\0b", 80), 1),
        ("CR LF", name(b"a\r\nb", 80), 1),
        ("not UTF-8", name(b"\xff\xfe", 80), 1),
        ("user", name(b"me@host", 80), 1),
        ("zone", name(b"fe80::1%eth0", 80), 1),
        ("long label", name("a".repeat(64).as_bytes(), 80), 1),
        ("long name", name(&vec!["a".repeat(63); 4].join(".").as_bytes()[..255], 80), 1),
        ("name with port 0", name(b"example.com", 0), 1),
    ] {
        let bytes = [&[5, 1, 0], request.as_slice()].concat();
        let (result, answer, _) = accept_all(&bytes, None).await;
        assert!(result.is_err(), "{what}");
        assert_eq!(answer, [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gets_no_answer() {
    for request in [V4.to_vec(), name(b"example.com", 443)] {
        for length in 0..request.len() {
            let bytes = [&[5, 1, 0], &request[..length]].concat();
            let (result, answer, _) = accept_all(&bytes, None).await;
            assert!(matches!(result, Err(SocksError::Gone(_))), "{length}");
            assert_eq!(answer, [5, 0], "{length}");
        }
    }
    let credentials = credentials();
    let words = b"\x05\x01\x02\x01\x03ada\x06secret";
    for length in 0..words.len() {
        let (result, answer, _) = accept_all(&words[..length], Some(&credentials)).await;
        assert!(matches!(result, Err(SocksError::Gone(_))), "{length}");
        assert_eq!(answer, if length < 3 { &[][..] } else { &[5, 2] }, "{length}");
    }
}

#[test]
fn every_dial_error_has_its_code() {
    let missing = || MissingSession { server: "me@host".into(), reason: String::new() };
    for (error, code) in [
        (DialError::ConnectionRefused, 5),
        (DialError::NameNotFound, 4),
        (DialError::LookUpFailed, 4),
        (DialError::NoRouteToHost, 4),
        (DialError::NetworkUnreachable, 3),
        (DialError::TimedOut, 6),
        (DialError::Unreachable, 1),
        (DialError::Prohibited { server: "me@host".into() }, 2),
        (DialError::ServerFull { server: "me@host".into() }, 1),
        (DialError::Rejected { rule: None }, 2),
        (DialError::NoSession { servers: vec![missing()] }, 1),
        (DialError::Killed, 1),
    ] {
        assert_eq!(reply_to(&error), [5, code, 0, 1, 0, 0, 0, 0, 0, 0], "{error:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        start in 0_usize..3,
    ) {
        // Some cases start further into the protocol.
        let start: &[u8] = [&[5][..], &[5, 1, 0], &[5, 1, 0, 5, 1, 0, 3]][start];
        bytes.splice(0..0, start.iter().copied());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (result, answer, _) = runtime.block_on(accept_all(&bytes, None));
        match result {
            Ok(_) | Err(SocksError::Gone(_)) => {
                let begun = answer.is_empty() || answer == [5, 0] || answer.starts_with(&[5, 2]);
                prop_assert!(begun, "{answer:?}");
            }
            Err(SocksError::Authentication) => prop_assert_eq!(answer, [5, 2, 1, 1]),
            Err(SocksError::NoMethod) => prop_assert_eq!(answer, [5, 0xff]),
            Err(_) => {
                let reply = answer.len().checked_sub(10).map(|at| &answer[at..]);
                prop_assert_eq!(reply.map(|reply| reply[0]), Some(5));
            }
        }
    }
}
