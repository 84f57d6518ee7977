//! Where the connections of a listener on the server come in (`-R`).

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::brake::Failures;
use super::connect::{self, Connect, Outbound};
use super::handler::{Accepted, Handler};
use super::proxy_handler::ProxyHandler;
use super::stream::ClientStream;
use crate::relay::Relayer;
use crate::request::{Protocol, Request, Source};
use crate::ssh::Forwarded;
use crate::target::Target;

/// What serves the connections of a listener on the server.
#[derive(Clone, Debug)]
pub enum RemoteHandler {
    /// They are led to one target.
    Fixed {
        /// Where it leads.
        target: Target,
        /// The way there.
        connect: Outbound,
        /// Logs those that fail.
        failures: Failures,
    },
    /// They find a proxy, and say themselves where they want to go.
    Proxy {
        /// What serves them.
        handler: Arc<ProxyHandler>,
        /// Carries their bytes to it.
        relayer: Relayer,
    },
}

impl RemoteHandler {
    /// Serves one connection until it is over; `listener` is where it came in, as the rules and the
    /// log name it. `shutdown` as with [`Handler::serve`].
    pub async fn serve(
        self,
        forwarded: Forwarded,
        listener: Arc<str>,
        shutdown: CancellationToken,
    ) {
        let source = forwarded.origin().map_or(Source::Unix, Source::Remote);
        match self {
            Self::Fixed { failures, target, connect } => {
                let protocol = Protocol::Forward;
                let request = Request { listener, protocol, source, user: None, target };
                lead(&connect, &failures, request, forwarded).await;
            }
            Self::Proxy { handler, relayer } => {
                let stream = ClientStream::Channel(relayer.pipe(forwarded.accept().await));
                handler.serve(Accepted { stream, source, listener }, shutdown).await;
            }
        }
    }
}

/// Dials the target first: until the connection is taken, nothing arrives on it that somebody would
/// have to keep, and the server tells its client of a failure by closing at once.
async fn lead(connect: &Outbound, failures: &Failures, request: Request, forwarded: Forwarded) {
    match connect::dial(connect, &request).await {
        Ok(connected) => {
            let client = ClientStream::Channel(connect.relayer.pipe(forwarded.accept().await));
            connect.relay(client, Bytes::new(), connected.channel).await;
        }
        Err(failure) => {
            failures.note(&request, &failure);
            forwarded.refuse(failure.error.codes().ssh).await;
        }
    }
}
