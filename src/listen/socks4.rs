//! SOCKS4 and 4a, as described by their two memoranda (openssh.com/txt/socks4.protocol and socks4a.protocol).
//! fast-socks5 supports only version 5.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::brake::Checker;
use super::socks::{SocksError, SocksRequest, Version};
use crate::destination::{Destination, Host, InvalidDestination};
use crate::request::Protocol;

/// Reads a request. A refused one has been answered when this returns: any request, where passwords are checked.
pub(crate) async fn accept<S>(
    stream: &mut S,
    checker: Option<&Checker<'_>>,
) -> Result<SocksRequest, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let result = read(stream, checker).await;
    if let Err(error) = &result
        && !matches!(error, SocksError::Gone(_))
    {
        stream.write_all(&REJECTED).await?;
    }
    result
}

async fn read<S>(stream: &mut S, checker: Option<&Checker<'_>>) -> Result<SocksRequest, SocksError>
where
    S: AsyncBufRead + Unpin,
{
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let [_, command, port @ .., a, b, c, d] = head;
    let port = u16::from_be_bytes(port);
    // The user id is unverified, and not used.
    read_text(stream).await?;
    let (protocol, host) = match [a, b, c, d] {
        // 4a: the invalid address 0.0.0.x with x not 0 announces a name.
        [0, 0, 0, 1..=255] => (Protocol::Socks4a, parse_name(&read_text(stream).await?)),
        ip => (Protocol::Socks4, Ok(Host::Ip(Ipv4Addr::from(ip).into()))),
    };
    if checker.is_some() {
        return Err(SocksError::NeedsPassword);
    }
    if command != CONNECT {
        return Err(SocksError::Command(command));
    }
    let destination = host.and_then(|host| Destination::new(host, port));
    let destination = destination.map_err(SocksError::Destination)?;
    Ok(SocksRequest { version: Version::Four, protocol, user: None, destination })
}

/// Reads up to the next NUL, which is dropped.
async fn read_text<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, SocksError> {
    let mut text = Vec::new();
    stream.take(MAX_TEXT + 1).read_until(0, &mut text).await?;
    match text.pop() {
        Some(0) => Ok(text),
        Some(_) if text.len() as u64 == MAX_TEXT => Err(SocksError::TooLong),
        _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

fn parse_name(name: &[u8]) -> Result<Host, InvalidDestination> {
    std::str::from_utf8(name).map_err(|_| InvalidDestination::InvalidHost)?.parse()
}

/// "Request granted", without an address.
pub(crate) const GRANTED: [u8; 8] = [0, 0x5a, 0, 0, 0, 0, 0, 0];
/// "Request rejected or failed", the reply to all failures: 92 and 93 are about identd.
pub(crate) const REJECTED: [u8; 8] = [0, 0x5b, 0, 0, 0, 0, 0, 0];
/// The command code of CONNECT; 2 is BIND.
const CONNECT: u8 = 1;
/// The maximum length of a user id or name, without its NUL. The memoranda set none.
const MAX_TEXT: u64 = 255;

#[cfg(test)]
mod tests;
