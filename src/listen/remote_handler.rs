//! The handlers for connections of a listener on the server (`-R`).

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::forward_handler::ForwardHandler;
use super::handler::{Accepted, Handler as _};
use super::proxy_handler::ProxyHandler;
use super::stream::ClientStream;
use crate::relay::Relayer;
use crate::request::Source;
use crate::ssh::Forwarded;

/// Serves the connections of a listener on the server.
#[derive(Clone, Debug)]
pub enum RemoteHandler {
    /// All connections go to one target.
    Forward(Arc<ForwardHandler>),
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
    /// `shutdown` is as in [`Handler::serve`](super::Handler::serve).
    pub async fn serve(
        self,
        forwarded: Forwarded,
        listener: Arc<str>,
        shutdown: CancellationToken,
    ) {
        let source = forwarded.origin().map_or(Source::Unix, Source::Remote);
        match self {
            Self::Forward(handler) => handler.serve_remote(forwarded, source, listener).await,
            Self::Proxy { handler, relayer } => {
                let stream = ClientStream::Channel(relayer.pipe(forwarded.accept().await));
                handler.serve(Accepted { stream, source, listener }, shutdown).await;
            }
        }
    }
}
