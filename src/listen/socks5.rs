//! SOCKS5 (RFC 1928) with or without user name and password (RFC 1929).
//!
//! The wire format is handled by fast-socks5: its typed negotiation, then its address parser. Its `read_command` is
//! not used because it replies by itself, with "connection refused" for a name that is not UTF-8 and to a client
//! that left midway; nor is its password reader, which refuses empty passwords and ignores the version.

use std::io;
use std::sync::Arc;

use fast_socks5::server::{
    NoAuthentication, PasswordAuthentication, Socks5ServerProtocol, SocksServerError,
    StandardAuthentication as Method, StandardAuthenticationStarted,
};
use fast_socks5::util::target_addr::{AddrError, TargetAddr, read_address};
use tokio::io::{AsyncBufRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::brake::Checker;
use super::socks::{SocksError, SocksRequest, Version};
use crate::destination::{Destination, Host, InvalidDestination};
use crate::dial::DialError;
use crate::request::Protocol;

/// Negotiates and reads a request. A refused one has been answered when this returns.
pub(crate) async fn accept<S>(
    stream: &mut S,
    checker: Option<&Checker<'_>>,
) -> Result<SocksRequest, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let user = negotiate(stream, checker).await?;
    let result = read_request(stream).await;
    if let Err(error) = &result
        && let Some(code) = code(error)
    {
        stream.write_all(&reply(code)).await?;
    }
    let (version, protocol) = (Version::Five, Protocol::Socks5);
    Ok(SocksRequest { version, protocol, user, destination: result? })
}

/// The reply to a failed request: the REP codes of RFC 1928 section 6.
pub(crate) fn reply_to(error: &DialError) -> [u8; 10] {
    reply(error.codes().socks5)
}

/// The REP code of RFC 1928 section 6, if the error has one and was not answered yet.
fn code(error: &SocksError) -> Option<u8> {
    match error {
        // There is nobody to answer, or the negotiation has already answered.
        SocksError::Gone(_) | SocksError::NoMethod | SocksError::Authentication => None,
        // A malformed request was not tried: "X'01' general SOCKS server failure".
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

/// Negotiates the method of authentication, and answers a user name and a password. Without a checker everybody is
/// accepted, with or without them.
async fn negotiate<S>(
    stream: &mut S,
    checker: Option<&Checker<'_>>,
) -> Result<Option<Arc<str>>, SocksError>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    // The first of these that the client also offers.
    let accepted = match checker {
        None => &[Method::NoAuthentication(NoAuthentication), PASSWORD][..],
        Some(_) => &[PASSWORD],
    };
    let chosen = Socks5ServerProtocol::start(&mut *stream).negotiate_auth(accepted).await;
    if let StandardAuthenticationStarted::NoAuthentication(_) = negotiated(chosen)? {
        return Ok(None);
    }
    let user = read_user(stream, checker).await;
    match &user {
        Ok(_) => stream.write_all(&AUTHENTICATED).await?,
        Err(SocksError::Authentication) => stream.write_all(&DENIED).await?,
        Err(_) => {}
    }
    user
}

/// Reads a user name and a password. Without a checker any will do, and the name becomes that of the client's
/// requests, for rules and logs.
async fn read_user<S>(
    stream: &mut S,
    checker: Option<&Checker<'_>>,
) -> Result<Option<Arc<str>>, SocksError>
where
    S: AsyncBufRead + Unpin,
{
    let (name, password) = read_password(stream).await?;
    match checker {
        Some(checker) => {
            let user = checker.verify(&name, &password).await;
            user.map(Some).ok_or(SocksError::Authentication)
        }
        None => Ok((!name.is_empty()).then(|| String::from_utf8_lossy(&name).into())),
    }
}

/// Reads the user name and password of RFC 1929 section 2, including empty ones.
async fn read_password<S>(
    stream: &mut S,
) -> Result<(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>), SocksError>
where
    S: AsyncBufRead + Unpin,
{
    if stream.read_u8().await? != SUBNEGOTIATION {
        return Err(SocksError::Authentication);
    }
    Ok((read_text(stream).await?, read_text(stream).await?))
}

/// Reads a length byte, and as many bytes.
async fn read_text<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = stream.read_u8().await?;
    let mut text = Zeroizing::new(vec![0; length.into()]);
    stream.read_exact(&mut text).await?;
    Ok(text)
}

/// Converts fast-socks5's errors.
fn negotiated<T>(result: Result<T, SocksServerError>) -> Result<T, SocksError> {
    result.map_err(|error| match error {
        SocksServerError::Io { source, .. } => SocksError::Gone(source),
        SocksServerError::AuthMethodUnacceptable(_) => SocksError::NoMethod,
        SocksServerError::UnsupportedSocksVersion(_) => SocksError::Version,
        // Not from the negotiation.
        SocksServerError::EmptyUsername
        | SocksServerError::EmptyPassword
        | SocksServerError::FromUtf8 { .. }
        | SocksServerError::AuthenticationRejected
        | SocksServerError::ConnectError(_)
        | SocksServerError::UdpHeaderError(_)
        | SocksServerError::AddrError(_)
        | SocksServerError::Bug(_)
        | SocksServerError::UnknownCommand(_)
        | SocksServerError::UnexpectedUdpControlGarbage(_)
        | SocksServerError::EOF => SocksError::Gone(io::Error::other(error.to_string())),
    })
}

/// Reads the request of RFC 1928 section 4.
async fn read_request<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Destination, SocksError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _reserved, address_type] = head;
    if version != VERSION {
        return Err(SocksError::Version);
    }
    let address = read_address(stream, address_type).await.map_err(bad_address)?;
    if command != CONNECT {
        return Err(SocksError::Command(command));
    }
    let destination = match address {
        TargetAddr::Ip(address) => address.try_into(),
        TargetAddr::Domain(name, port) => {
            name.parse::<Host>().and_then(|host| Destination::new(host, port))
        }
    };
    destination.map_err(SocksError::Destination)
}

fn bad_address(error: AddrError) -> SocksError {
    match error {
        AddrError::IPv4Unreadable(source)
        | AddrError::IPv6Unreadable(source)
        | AddrError::PortNumberUnreadable(source)
        | AddrError::DomainLenUnreadable(source)
        | AddrError::DomainContentUnreadable(source) => SocksError::Gone(source),
        AddrError::IncorrectAddressType => SocksError::AddressType,
        AddrError::Utf8(_)
        | AddrError::DomainLenTooLong(_)
        | AddrError::AddrConversionFailed(_)
        | AddrError::DNSResolutionFailed(_)
        | AddrError::NoDNSRecords => SocksError::Destination(InvalidDestination::InvalidHost),
    }
}

/// A reply of RFC 1928 section 6. The bound address is that of the far side, which is unknown: 0.0.0.0:0, as
/// sent by OpenSSH.
const fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// "X'00' succeeded".
pub(crate) const SUCCEEDED: [u8; 10] = reply(0);
const PASSWORD: Method = Method::PasswordAuthentication(PasswordAuthentication);
/// Success of RFC 1929 section 2.
const AUTHENTICATED: [u8; 2] = [1, 0];
/// A failure of RFC 1929 section 2: any status but 0.
const DENIED: [u8; 2] = [1, 1];
const VERSION: u8 = 5;
/// The version of the negotiation of RFC 1929 section 2.
const SUBNEGOTIATION: u8 = 1;
/// The command code of CONNECT (RFC 1928 section 4); 2 is BIND, 3 UDP ASSOCIATE.
const CONNECT: u8 = 1;

#[cfg(test)]
mod tests;
