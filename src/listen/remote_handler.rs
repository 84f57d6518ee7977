//! The handlers for connections of a listener on the server (`-R`).

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

/// Serves the connections of a listener on the server.
#[derive(Clone, Debug)]
pub enum RemoteHandler {
    /// All connections go to one target.
    Fixed {
        /// The target.
        target: Target,
        /// Connects to it.
        connect: Outbound,
        /// Logs failed connections.
        failures: Failures,
    },
    /// The connections reach a proxy, and name their own destination.
    Proxy {
        /// Serves the connections.
        handler: Arc<ProxyHandler>,
        /// Relays their bytes to it.
        relayer: Relayer,
    },
}

impl RemoteHandler {
    /// Serves one connection until it has ended; `listener` is the name of its listener in rules and logs.
    /// `shutdown` is as in [`Handler::serve`].
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

/// Dials the target first: until the connection is accepted, no data arrives that would have to be queued, and
/// on a failure the server closes its client's connection at once.
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
