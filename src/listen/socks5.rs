//! SOCKS5 (RFC 1928) with or without user name and password (RFC 1929).
//!
//! fast-socks5 reads its methods before it is asked which of them to take, and the choice depends on them: a
//! client that offers only a password is let in with it where none is asked for. And it answers some errors by
//! itself, as "connection refused".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::brake::Checker;
use super::socks::{SocksError, parse_name};
use crate::destination::Destination;
use crate::dial::DialError;

/// A complete CONNECT request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) destination: Destination,
}

/// Negotiates and reads a request. A refused one has been answered when this returns.
pub(crate) async fn accept<S>(
    stream: &mut S,
    checker: Option<&Checker<'_>>,
) -> Result<Accepted, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let user = match checker {
        None => negotiate_freely(stream).await?,
        Some(checker) => Some(authenticate(stream, checker).await?),
    };
    let result = read_request(stream).await;
    if let Err(error) = &result
        && let Some(code) = code(error)
    {
        stream.write_all(&reply(code)).await?;
    }
    Ok(Accepted { user, destination: result? })
}

/// The answer to a client whose request failed: the REP codes of RFC 1928 section 6.
pub(crate) fn reply_to(error: &DialError) -> [u8; 10] {
    reply(error.codes().socks5)
}

/// The REP code of RFC 1928 section 6, where the request deserves one and has none yet.
fn code(error: &SocksError) -> Option<u8> {
    match error {
        // Nobody is there to read it, or it was said in the negotiation.
        SocksError::Gone(_) | SocksError::NoMethod | SocksError::Authentication => None,
        // A malformed request was never tried: "X'01' general SOCKS server failure".
        SocksError::Version
        | SocksError::Destination(_)
        | SocksError::TooLong
        | SocksError::NeedsPassword => Some(1),
        // "X'07' Command not supported"
        SocksError::Command(_) => Some(7),
        // "X'08' Address type not supported"
        SocksError::AddressType => Some(8),
    }
}

/// Lets everybody in. A client that offers nothing but a name and a password may give any; the name is that
/// of its requests then, for rules and logs.
async fn negotiate_freely<S>(stream: &mut S) -> Result<Option<Arc<str>>, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    if choose_method(stream, &[NO_AUTHENTICATION, PASSWORD]).await? == NO_AUTHENTICATION {
        return Ok(None);
    }
    let name = match read_password(stream).await? {
        Some((name, _)) => std::str::from_utf8(&name).ok().map(Arc::from),
        None => None,
    };
    answer_password(stream, name.filter(|name: &Arc<str>| !name.is_empty())).await.map(Some)
}

/// Reads and checks the name and the password of RFC 1929.
async fn authenticate<S>(stream: &mut S, checker: &Checker<'_>) -> Result<Arc<str>, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    choose_method(stream, &[PASSWORD]).await?;
    let user = match read_password(stream).await? {
        Some((name, password)) => checker.verify(&name, &password).await,
        None => None,
    };
    answer_password(stream, user).await
}

/// Reads the greeting of RFC 1928 section 3 (a version, a number, and so many methods), and chooses the first of
/// `accepted` that is among them. The answer is written.
async fn choose_method<S>(stream: &mut S, accepted: &[u8]) -> Result<u8, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    if stream.read_u8().await? != VERSION {
        return Err(SocksError::Version);
    }
    let offered = read_counted(stream).await?;
    let chosen = accepted.iter().copied().find(|method| offered.contains(method));
    stream.write_all(&[VERSION, chosen.unwrap_or(NO_ACCEPTABLE_METHOD)]).await?;
    chosen.ok_or(SocksError::NoMethod)
}

/// Reads a name and a password (RFC 1929 section 2); none where they are of another version.
async fn read_password<S: AsyncBufRead + Unpin>(
    stream: &mut S,
) -> Result<Option<(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)>, SocksError> {
    if stream.read_u8().await? != 1 {
        return Ok(None);
    }
    Ok(Some((read_counted(stream).await?, read_counted(stream).await?)))
}

/// Writes whether the name and the password let this user in.
async fn answer_password<S: AsyncWrite + Unpin>(
    stream: &mut S,
    user: Option<Arc<str>>,
) -> Result<Arc<str>, SocksError> {
    let status = if user.is_some() { AUTHENTICATED } else { DENIED };
    stream.write_all(&status).await?;
    user.ok_or(SocksError::Authentication)
}

/// Reads a number, and so many bytes.
async fn read_counted<S: AsyncBufRead + Unpin>(
    stream: &mut S,
) -> Result<Zeroizing<Vec<u8>>, SocksError> {
    let count = stream.read_u8().await?;
    let mut bytes = Zeroizing::new(vec![0; count.into()]);
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads the request of RFC 1928 section 4.
async fn read_request<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Destination, SocksError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _reserved, address_type] = head;
    if version != VERSION {
        return Err(SocksError::Version);
    }
    let host = match address_type {
        IPV4 => Ok(IpAddr::from(Ipv4Addr::from_bits(stream.read_u32().await?)).into()),
        IPV6 => Ok(IpAddr::from(Ipv6Addr::from_bits(stream.read_u128().await?)).into()),
        NAME => parse_name(&read_counted(stream).await?),
        _ => return Err(SocksError::AddressType),
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        return Err(SocksError::Command(command));
    }
    host.and_then(|host| Destination::new(host, port)).map_err(SocksError::Destination)
}

/// A reply of RFC 1928 section 6. The bound address is the far side's, which nobody knows here:
/// 0.0.0.0:0, as OpenSSH answers.
const fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// "X'00' succeeded".
pub(crate) const SUCCEEDED: [u8; 10] = reply(0);
/// Success of RFC 1929 section 2.
const AUTHENTICATED: [u8; 2] = [1, 0];
/// A failure of RFC 1929 section 2: any status but 0.
const DENIED: [u8; 2] = [1, 1];
const VERSION: u8 = 5;
/// The methods of RFC 1928 section 3.
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
/// The address types of RFC 1928 section 5.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// The command code of CONNECT (RFC 1928 section 4); 2 is BIND, 3 UDP ASSOCIATE.
const CONNECT: u8 = 1;

#[cfg(test)]
mod tests;
