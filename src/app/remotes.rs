//! The set of running remote forwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{Error, OnForwardFailure, RemoteOptions, remote};
use crate::control::ForwardRefusal;
use crate::dial::Servers;
use crate::listen::connect::Outbound;
use crate::pool::{Availability, Pool};
use crate::registry::{Forward, Forwards};
use crate::remote_listener::RemoteListener;

/// The set of running remote forwards.
#[derive(Debug)]
pub(super) struct RemoteSet {
    connect: Outbound,
    running: Vec<Running>,
    forwards: Forwards,
    /// The tasks that serve the listeners, one each.
    serving: TaskTracker,
    connections: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    options: RemoteOptions,
    /// The pool of the server that listens.
    pool: Pool,
    entry: Arc<Forward>,
    stop: CancellationToken,
    /// Cancelled once the server has been asked to stop listening.
    over: CancellationToken,
}

impl RemoteSet {
    /// Creates an empty set. Clients are dialled by `connect`; requests that no rule matches go
    /// direct. Forwards are registered in `forwards`.
    pub(super) fn new(
        connect: Outbound,
        forwards: Forwards,
        connections: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (running, serving) = (Vec::new(), TaskTracker::new());
        Self { connect, running, forwards, serving, connections, stop }
    }

    /// Asks the servers to listen, once each, and serves their connections. A server without a
    /// session is asked as soon as it has one.
    pub(super) async fn start(
        &mut self,
        forwards: Vec<RemoteOptions>,
        servers: &Servers,
        on_failure: OnForwardFailure,
    ) -> Result<(), Error> {
        for options in forwards {
            let Some(pool) = servers.get(&options.server) else {
                warn!("{}: there is no server {}", options.forward, options.server);
                continue;
            };
            let entry = self.forwards.register(options.entry());
            let noted = Arc::clone(entry.forward());
            let listen = options.forward.listen.clone();
            let mut listener = RemoteListener::new(pool.clone(), listen, entry);
            if pool.availability() == Availability::Ready {
                remote::request(&mut listener, &options.forward.to, on_failure).await?;
            }
            let (stop, over) = (self.stop.child_token(), CancellationToken::new());
            let serve = remote::serve(
                &options,
                Arc::clone(&noted),
                &self.connect,
                self.connections.clone(),
                stop.clone(),
            );
            let (stopping, ends) = (stop.clone(), over.clone().drop_guard());
            self.serving.spawn(async move {
                listener.run(serve, stopping).await;
                drop(ends);
            });
            self.running.push(Running { options, pool: pool.clone(), entry: noted, stop, over });
        }
        Ok(())
    }

    /// Adds a forward at run time. A server that has a session is asked at once.
    pub(super) async fn add(
        &mut self,
        options: RemoteOptions,
        servers: &Servers,
    ) -> Result<Arc<Forward>, ForwardRefusal> {
        let RemoteOptions { server, forward, .. } = &options;
        let is_taken = |running: &Running| {
            let other = &running.options;
            other.server == *server && other.forward.listen.collides_with(&forward.listen)
        };
        if self.running.iter().any(is_taken) {
            return Err(ForwardRefusal::Taken(format!("{} of {server}", forward.listen)));
        }
        let asked = self.start(vec![options], servers, OnForwardFailure::Exit);
        match timeout(ANSWER_LIMIT, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ForwardRefusal::Server(error.to_string())),
            Err(_) => return Err(ForwardRefusal::Server("the server does not answer".into())),
        }
        let added = self.running.last().map(|running| Arc::clone(&running.entry));
        added.ok_or(ForwardRefusal::Ending)
    }

    /// The options of the forward with this id.
    pub(super) fn find(&self, id: u64) -> Option<&RemoteOptions> {
        let found = self.running.iter().find(|running| running.entry.id() == id);
        found.map(|running| &running.options)
    }

    /// Asks the server to stop listening. Open connections go on.
    pub(super) async fn remove(&mut self, id: u64) {
        let Some(at) = self.running.iter().position(|running| running.entry.id() == id) else {
            return;
        };
        let running = self.running.remove(at);
        running.stop.cancel();
        // A server that does not answer releases the port when its session ends.
        let _ = timeout(PATIENCE, running.over.cancelled()).await;
    }

    /// Replaces the forwards. Those that are unchanged, on an unchanged server, stay.
    pub(super) async fn reload(&mut self, forwards: Vec<RemoteOptions>, servers: &Servers) {
        let mut added = forwards;
        let mut kept = Vec::new();
        for running in std::mem::take(&mut self.running) {
            let same_server = servers
                .get(&running.options.server)
                .is_some_and(|pool| pool.is_same_as(&running.pool));
            match added.iter().position(|options| *options == running.options) {
                Some(same) if same_server => {
                    added.remove(same);
                    kept.push(running);
                }
                _ => {
                    running.stop.cancel();
                    // The server must have released the port before it is requested again.
                    running.over.cancelled().await;
                }
            }
        }
        self.running = kept;
        // The tasks retry refused requests.
        let _ = self.start(added, servers, OnForwardFailure::GoOn).await;
    }

    /// Waits, after the stop, until no server listens any more.
    pub(super) async fn closed(&self) {
        self.serving.close();
        self.serving.wait().await;
    }
}

/// The longest wait for a server to stop listening.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait for a server to listen: its answer may take 10 s, and another request may be ahead.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
