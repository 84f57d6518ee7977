//! The connection from a request to its target, as used by the handlers.

use std::future::Future;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::stream::ClientStream;
use crate::channel::Channel;
use crate::destination::Destination;
use crate::dial::{Connected, DialError, DialFailure, Dialer, Routing, Way};
use crate::printable::{self, Lines, printable};
use crate::registry::{Connections, Outcome, Tracked};
use crate::relay::{Pipe, Relayer};
use crate::request::Request;
use crate::stream::RelayEnd as _;
use crate::target::Target;

/// Connects requests to their targets. [`Outbound`] is the real implementation; the tests of the protocols have
/// their own.
pub trait Connect: Send + Sync + 'static {
    /// A confirmed connection to the target. Dropping it closes it.
    type Channel: Send + 'static;
    /// A channel as a byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a channel to the request's target.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the dial is aborted without a leak.
    fn dial(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Connected<Self::Channel>, DialFailure>> + Send;

    /// Relays bytes both ways until both sides are done, starting with `early`.
    fn relay(
        &self,
        client: ClientStream,
        early: Bytes,
        channel: Self::Channel,
    ) -> impl Future<Output = ()> + Send;

    /// The channel as a byte stream. A cut is reported as an error, never as EOF.
    fn stream(&self, channel: Self::Channel) -> Self::Stream;

    /// The number of times the rules and servers were replaced; earlier decisions may no longer hold.
    fn replaced(&self) -> u64;

    /// The rules as a proxy auto-configuration file for a browser that reaches the proxy as `proxy`; none if
    /// the requests are not routed by rules.
    fn pac(&self, proxy: &Destination) -> Option<String>;
}

/// The connection by the rules, or by a forward's fixed route: over SSH servers, or direct.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Opens channels.
    pub dialer: Dialer,
    /// How requests are routed.
    pub routing: Routing,
    /// Relays the channels.
    pub relayer: Relayer,
    /// Counts the connections.
    pub connections: Connections,
}

impl Connect for Outbound {
    type Channel = Channel;
    type Stream = Pipe;

    async fn dial(&self, request: &Request) -> Result<Connected<Channel>, DialFailure> {
        self.dial_tracked(self.connections.begin(request)).await
    }

    async fn relay(&self, client: ClientStream, early: Bytes, channel: Channel) {
        let ended = self.relayer.relay(client, early, channel).await;
        debug!(outcome = printable::word(ended), "relay over");
    }

    fn stream(&self, channel: Channel) -> Pipe {
        self.relayer.pipe(channel)
    }

    fn replaced(&self) -> u64 {
        self.dialer.replaced()
    }

    fn pac(&self, proxy: &Destination) -> Option<String> {
        let proxies = std::slice::from_ref(proxy);
        (self.routing == Routing::Rules).then(|| self.dialer.pac(proxies))
    }
}

impl Outbound {
    /// As [`Connect::dial`], for a request that is already counted.
    pub(crate) async fn dial_tracked(
        &self,
        tracked: Tracked,
    ) -> Result<Connected<Channel>, DialFailure> {
        let dialled = tokio::select! {
            biased;
            dialled = self.dialer.dial(&self.routing, &tracked) => dialled,
            () = tracked.killed() => {
                Err(DialFailure { error: DialError::Killed, way: Way::default() })
            }
        };
        match dialled {
            Ok(Connected { channel, way }) => {
                Ok(Connected { channel: channel.tracked_by(tracked), way })
            }
            Err(failure) => {
                tracked.fail(Outcome::from(&failure.error), in_one_line(&failure.error));
                Err(failure)
            }
        }
    }
}

/// Dials, and logs the result in one line.
pub(super) async fn dial<R: Connect>(
    connect: &R,
    request: &Request,
) -> Result<Connected<R::Channel>, DialFailure> {
    let Request { protocol, target, .. } = request;
    let result = connect.dial(request).await;
    match &result {
        Ok(Connected { way, .. }) => debug!(%protocol, %target, %way, "connected"),
        Err(DialFailure { error, way }) => {
            debug!(%protocol, %target, %way, blame = %error.blame(), error = in_one_line(error), "not connected");
        }
    }
    result
}

/// The result of a dial; none if the client resets its connection meanwhile.
pub(super) async fn unless_gone<T>(
    client: &ClientStream,
    target: &Target,
    dial: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        dialled = dial => Some(dialled),
        () = client.gone() => {
            debug!(%target, "the client left while dialling");
            None
        }
    }
}

/// An error as one log line: its text may come from the server.
pub(super) fn in_one_line(error: &dyn std::error::Error) -> String {
    printable(&error.to_string(), MAX_LOGGED, Lines::One)
}

/// The maximum length of an error in a log line, in characters.
const MAX_LOGGED: usize = 500;
