//! A SOCKS client of either version.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub(crate) enum Version {
    #[strum(to_string = "SOCKS4")]
    Four,
    #[strum(to_string = "SOCKS5")]
    Five,
}

/// A complete CONNECT request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SocksRequest {
    pub(crate) version: Version,
    pub(crate) protocol: Protocol,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) destination: Destination,
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
            Self::Four => socks4::accept(client, checker).await,
            Self::Five => socks5::accept(client, checker).await,
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
            Self::Four => socks4::REJECTED.to_vec(),
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
