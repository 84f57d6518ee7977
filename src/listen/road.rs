//! What lies behind the front door, as the door sees it.

use std::future::Future;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::stream::ClientStream;
use crate::dial::{DialError, Dialer};
use crate::relay::{Pipe, Relayer};
use crate::request::Request;
use crate::ssh;

/// The way from a request to its destination. [`ThroughSsh`] is the one that leads somewhere; the tests
/// of the protocols have their own.
pub trait Road: Send + Sync + 'static {
    /// A confirmed connection to the destination. Dropping it closes it.
    type Channel: Send + 'static;
    /// A channel as a byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a channel to the request's target.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the dial up and leaks nothing.
    fn dial(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Self::Channel, DialError>> + Send;

    /// Carries bytes both ways until both sides are done. `early` goes first.
    fn relay(
        &self,
        client: ClientStream,
        early: Bytes,
        channel: Self::Channel,
    ) -> impl Future<Output = ()> + Send;

    /// The channel as a byte stream. A cut reads as an error, never as the end.
    fn stream(&self, channel: Self::Channel) -> Self::Stream;

    /// The SSH server that the road leads through, as the user named it.
    fn server(&self) -> &str;
}

/// The road through SSH.
#[derive(Clone, Debug)]
pub struct ThroughSsh {
    /// Opens channels.
    pub dialer: Dialer,
    /// Serves them.
    pub relayer: Relayer,
}

impl Road for ThroughSsh {
    type Channel = ssh::Channel;
    type Stream = Pipe;

    async fn dial(&self, request: &Request) -> Result<Self::Channel, DialError> {
        self.dialer.dial(request).await
    }

    async fn relay(&self, client: ClientStream, early: Bytes, channel: Self::Channel) {
        let ended = self.relayer.relay(client, early, channel).await;
        debug!(?ended, "relay over");
    }

    fn stream(&self, channel: Self::Channel) -> Self::Stream {
        self.relayer.pipe(channel)
    }

    fn server(&self) -> &str {
        self.dialer.server()
    }
}
