//! A SOCKS client of either version.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, BufReader};

use super::brake::Checker;
use super::connect::{self, Connect};
use super::context::ProxyContext;
use super::linger::linger;
use super::stream::ClientStream;
use super::tunnel::Tunnel;
use super::{socks4, socks5};
use crate::destination::{Destination, InvalidDestination};
use crate::dial::{Connected, DialError, DialFailure};
use crate::request::{Protocol, Request, Source};

/// The versions, which have different replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Four,
    Five,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Four => "SOCKS4",
            Self::Five => "SOCKS5",
        })
    }
}

/// A complete request.
#[derive(Debug)]
pub(crate) struct SocksRequest {
    version: Version,
    protocol: Protocol,
    user: Option<Arc<str>>,
    destination: Destination,
}

/// Why there is no request. A refusal has been answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocksError {
    /// There is nobody left to answer.
    #[error("the client left in its greeting: {0}")]
    Gone(io::Error),
    #[error("the client offers no method of authentication that is acceptable")]
    NoMethod,
    #[error("the user name or the password is wrong, empty or not UTF-8")]
    Authentication,
    #[error("SOCKS4 cannot carry the password that is asked for")]
    NeedsPassword,
    #[error("the request is not of version 5")]
    Version,
    #[error("the address type is unknown")]
    AddressType,
    #[error("the command {0} is not supported")]
    Command(u8),
    #[error("the user id or the host name is longer than 255 bytes")]
    TooLong,
    #[error("bad destination: {0}")]
    Destination(InvalidDestination),
}

impl Version {
    /// Reads a request of this version. A refused one has been answered when this returns.
    pub(crate) async fn read_request(
        self,
        client: &mut BufReader<ClientStream>,
        checker: Option<&Checker<'_>>,
    ) -> Result<SocksRequest, SocksError> {
        match self {
            Self::Four => {
                let service = match checker {
                    None => socks4::Service::Open,
                    Some(_) => socks4::Service::NeedsPassword,
                };
                let accepted = socks4::accept(client, service).await?;
                let socks4::Accepted { protocol, destination } = accepted;
                Ok(SocksRequest { version: self, protocol, user: None, destination })
            }
            Self::Five => {
                let accepted = socks5::accept(client, checker).await?;
                let socks5::Accepted { user, destination } = accepted;
                Ok(SocksRequest { version: self, protocol: Protocol::Socks5, user, destination })
            }
        }
    }

    fn granted(self) -> &'static [u8] {
        match self {
            Self::Four => &socks4::GRANTED,
            Self::Five => &socks5::SUCCEEDED,
        }
    }

    fn refused(self, error: &DialError) -> Vec<u8> {
        match self {
            Self::Four => socks4::reply_to(error).to_vec(),
            Self::Five => socks5::reply_to(error).to_vec(),
        }
    }
}

impl SocksRequest {
    /// Dials for the client and sends it the result.
    pub(crate) async fn serve<R: Connect>(
        self,
        context: &ProxyContext<R>,
        mut client: BufReader<ClientStream>,
        listener: Arc<str>,
        source: Source,
    ) -> Option<Tunnel<R::Channel>> {
        let Self { version, protocol, user, destination } = self;
        let request = Request { listener, protocol, source, user, target: destination.into() };
        let dial = context.dial(&request);
        match connect::unless_gone(client.get_ref(), &request.target, dial).await? {
            Ok(Connected { channel, .. }) => {
                // A client that left meanwhile is not worth a message: the channel is closed.
                client.write_all(version.granted()).await.ok()?;
                let early = Bytes::copy_from_slice(client.buffer());
                Some(Tunnel { client: client.into_inner(), early, channel })
            }
            Err(DialFailure { error, .. }) => {
                client.write_all(&version.refused(&error)).await.ok()?;
                linger(client).await;
                None
            }
        }
    }
}

impl From<io::Error> for SocksError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}
