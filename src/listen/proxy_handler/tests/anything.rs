//! Arbitrary input, sent at once or byte by byte: nothing panics, the results are equal, and only valid
//! requests are dialled.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::destination::Destination;

/// Requests that are valid except for a few bytes.
pub(super) fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let requests: [&[u8]; 8] = [
        SOCKS4,
        SOCKS4A,
        SOCKS5,
        b"\x05\x02\x00\x02\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb",
        CONNECT,
        b"CONNECT [2001:db8::1]:443 HTTP/1.0\r\n\r\n",
        b"GET http://example.com/a?b HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n",
        b"POST http://127.1:81/ HTTP/1.1\r\nHost: 127.1:81\r\nContent-Length: 2\r\n\r\nab",
    ];
    nearly(requests.to_vec())
}

/// One of these with a few bytes changed, removed or inserted; occasionally arbitrary bytes.
pub(super) fn nearly(valid: Vec<&'static [u8]>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    let several = prop::collection::vec(change, 0..4);
    let changed = (prop::sample::select(valid), several).prop_map(|(valid, changes)| {
        let mut bytes = valid.to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    });
    prop_oneof![9 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

/// The dialled targets if a client sends the bytes in pieces of this size, and then half-closes.
async fn asked(proxy: &mut TestProxy, bytes: &[u8], piece: usize) -> Vec<String> {
    let (client, mut task) = proxy.client().await;
    client.set_nodelay(true).expect("ours");
    let (mut from, mut to) = client.into_split();
    let reading = tokio::spawn(async move {
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ = from.read_to_end(&mut answer).await;
    });
    let sending = async {
        for piece in bytes.chunks(piece) {
            // The handler may have closed the connection.
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = to.shutdown().await;
    };
    let mut asked = Vec::new();
    let serving = async {
        loop {
            tokio::select! {
                ended = &mut task => break ended.expect("no panic"),
                // The far side closes at once.
                dialled = proxy.dialled() => asked.push(dialled.request.target.to_string()),
            }
        }
    };
    tokio::join!(sending, serving);
    while let Some(dialled) = proxy.dialled_already() {
        asked.push(dialled.request.target.to_string());
    }
    let _ = reading.await;
    asked
}

/// The destination of a SOCKS request, parsed leniently; none if there is none.
fn socks_destination(bytes: &[u8]) -> Option<String> {
    let port = |at: &[u8]| Some(u16::from_be_bytes(at.get(..2)?.try_into().ok()?));
    let ip4 = |b: &[u8]| Some(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(b).ok()?).to_string());
    let (host, port) = match bytes {
        [4, 1, rest @ ..] => {
            let (port, address, user) = (port(rest)?, rest.get(2..6)?, rest.get(6..)?);
            let after = &user[user.iter().position(|b| *b == 0)? + 1..];
            match address {
                [0, 0, 0, last] if *last != 0 => {
                    let end = after.iter().position(|b| *b == 0)?;
                    (String::from_utf8(after[..end].to_vec()).ok()?, port)
                }
                _ => (ip4(address)?, port),
            }
        }
        [5, methods, rest @ ..] => {
            let (offered, request) = rest.split_at_checked(usize::from(*methods))?;
            let ([5, 1, _, kind, body @ ..], true) = (request, offered.contains(&0)) else {
                return None;
            };
            match kind {
                1 => (ip4(body.get(..4)?)?, port(&body[4..])?),
                3 => {
                    let (length, name) = body.split_first()?;
                    let (name, rest) = name.split_at_checked(usize::from(*length))?;
                    (String::from_utf8(name.to_vec()).ok()?, port(rest)?)
                }
                4 => {
                    let address: [u8; 16] = body.get(..16)?.try_into().ok()?;
                    (format!("[{}]", std::net::Ipv6Addr::from(address)), port(&body[16..])?)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    Destination::parse(&format!("{host}:{port}"), None).ok().map(|d| d.to_string())
}

/// Whether the bytes begin like an HTTP request with a complete head.
fn is_http(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.is_empty() && *line != b"\r");
    let words: Vec<_> =
        line.unwrap_or_default().trim_ascii_end().split(|byte| *byte == b' ').collect();
    let whole = bytes.windows(2).any(|w| w == b"\n\n") || bytes.windows(3).any(|w| w == b"\n\r\n");
    whole && matches!(words[..], [method, _, b"HTTP/1.1" | b"HTTP/1.0"] if !method.is_empty())
}

proptest! {
    #[test]
    fn pieces_do_not_change_the_result_and_only_requests_are_dialled(
        bytes in nearly_a_request(), piece in prop_oneof![Just(1_usize), 2..20_usize],
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (at_once, in_pieces) = runtime.block_on(async {
            let mut proxy = TestProxy::new(Outcome::Connect).await;
            (asked(&mut proxy, &bytes, usize::MAX).await, asked(&mut proxy, &bytes, piece).await)
        });
        prop_assert_eq!(&at_once, &in_pieces);
        match bytes.first() {
            Some(4 | 5) => {
                let wanted = socks_destination(&bytes);
                prop_assert_eq!(at_once, wanted.into_iter().collect::<Vec<_>>());
            }
            _ => prop_assert!(at_once.is_empty() || is_http(&bytes), "{at_once:?}"),
        }
    }
}
