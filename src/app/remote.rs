//! Remote forwards, requested once before the program is ready and served until it ends.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, info};

use super::{Error, OnForwardFailure};
use crate::forward::{RemoteForward, RemoteTo};
use crate::listen::connect::Outbound;
use crate::listen::{ForwardHandler, ProxyHandler, RemoteHandler};
use crate::pool::Pool;
use crate::printable::line;
use crate::registry::{Forward, Registered};
use crate::remote_listener::RemoteListener;
use crate::ssh::Forwarded;

/// A remote forward and its listener.
#[derive(Debug)]
pub(super) struct Remote {
    forward: RemoteForward,
    listener: RemoteListener,
}

/// Serves remote forwards.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// The listener's name in rules, if it is not the listen address.
    pub(super) name: Option<Arc<str>>,
    /// The record that counts its clients.
    pub(super) entry: Arc<Forward>,
    /// Dials the clients' targets: by the rules, or direct.
    pub(super) connect: Outbound,
    /// The proxy for forwards without a target.
    pub(super) proxy: Arc<ProxyHandler>,
    pub(super) connections: TaskTracker,
    /// Cancelled to stop.
    pub(super) stop: CancellationToken,
}

impl Remote {
    /// Creates a forward that [`run`](Self::run) requests once there is a session.
    pub(super) fn new(pool: &Pool, forward: RemoteForward, entry: Registered) -> Self {
        let listener = RemoteListener::new(pool.clone(), forward.listen.clone(), entry);
        Self { forward, listener }
    }

    /// Requests it from the server at once. A refusal is an error only if `on_failure` says so.
    pub(super) async fn request(&mut self, on_failure: OnForwardFailure) -> Result<(), Error> {
        let registered = self.listener.register().await;
        let place = self.listener.place();
        match (registered, on_failure) {
            (Ok(()), _) => info!("listening on {place} ({})", description(&self.forward.to)),
            (Err(cause), OnForwardFailure::Exit) => {
                return Err(Error::RemoteListen { place, cause });
            }
            // `run` requests it again, and logs the outcome.
            (Err(error), OnForwardFailure::GoOn) => debug!(%error, "not listening on {place}"),
        }
        Ok(())
    }

    pub(super) async fn run(self, service: Service) {
        let Service { name, entry, connect, proxy, connections, stop } = service;
        let name = name.unwrap_or_else(|| self.forward.listen.to_string().into());
        let handler = match self.forward.to {
            RemoteTo::Fixed(target) => {
                RemoteHandler::Forward(Arc::new(ForwardHandler::new(connect, target)))
            }
            RemoteTo::Proxy => RemoteHandler::Proxy { handler: proxy, relayer: connect.relayer },
        };
        let stopping = stop.clone();
        let serve = move |forwarded: Forwarded| {
            entry.accept();
            let span = debug_span!("remote client", listener = %name);
            let serving = handler.clone().serve(forwarded, Arc::clone(&name), stopping.clone());
            connections.spawn(serving.instrument(span));
        };
        self.listener.run(serve, stop).await;
    }
}

/// A description of its target.
fn description(to: &RemoteTo) -> String {
    match to {
        RemoteTo::Fixed(target) => format!("to {}", line(&target.to_string())),
        RemoteTo::Proxy => "a proxy".to_owned(),
    }
}
