//! Detects a client's protocol by its first byte.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::http::is_token;

/// The protocol that the first byte indicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// SOCKS version 4 or 4a.
    Socks4,
    /// SOCKS version 5 (RFC 1928 section 3).
    Socks5,
    /// The start of an HTTP method (RFC 9112 section 3).
    Http,
    /// No known protocol: TLS, STUN, a stray byte.
    Unknown(u8),
    /// The client left without sending anything.
    Nothing,
}

/// Looks at the first byte. It stays in the buffer, and no second byte is awaited.
///
/// # Cancel safety
///
/// Safe: nothing is consumed.
pub(crate) async fn detect<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Detected> {
    Ok(match stream.fill_buf().await?.first() {
        Some(4) => Detected::Socks4,
        Some(5) => Detected::Socks5,
        // RFC 9112 section 2.2: a server ignores empty lines before a request.
        Some(&byte) if is_token(byte) || b"\r\n".contains(&byte) => Detected::Http,
        Some(&byte) => Detected::Unknown(byte),
        None => Detected::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;

    async fn of(bytes: &[u8]) -> Detected {
        detect(&mut BufReader::new(bytes)).await.expect("bytes in memory")
    }

    #[tokio::test]
    async fn the_first_byte_decides() {
        assert_eq!(of(&[4, 1]).await, Detected::Socks4);
        assert_eq!(of(&[5]).await, Detected::Socks5);
        for method in ["GET", "CONNECT", "m-search", "!", "\r\nGET", "\n"] {
            assert_eq!(of(method.as_bytes()).await, Detected::Http, "{method}");
        }
        for byte in [0, 1, 3, 6, 0x16, b' ', b'/', b'"', 0x7f, 0x80, 0xff] {
            assert_eq!(of(&[byte]).await, Detected::Unknown(byte));
        }
        assert_eq!(of(&[]).await, Detected::Nothing);
    }

    #[tokio::test]
    async fn one_byte_is_enough_and_stays() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = BufReader::new(server);
        client.write_all(&[5]).await.expect("room");
        // The client sends nothing more: waiting for a second byte would hang here.
        assert_eq!(detect(&mut server).await.expect("a byte"), Detected::Socks5);
        assert_eq!(server.read_u8().await.expect("still there"), 5);
    }
}
