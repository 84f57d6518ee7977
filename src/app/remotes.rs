//! The remote forwards that run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::remote::{Remote, Service};
use super::{Error, OnForwardFailure, RemoteOptions};
use crate::control::ForwardRefusal;
use crate::dial::Servers;
use crate::listen::connect::Outbound;
use crate::listen::{GreetingLimits, ProxyHandler};
use crate::pool::{Availability, Pool};
use crate::registry::{Forward, Forwards};

/// The remote forwards that run.
#[derive(Debug)]
pub(super) struct RemoteSet {
    connect: Outbound,
    running: Vec<Running>,
    forwards: Forwards,
    /// The tasks that serve a listener each.
    serving: TaskTracker,
    connections: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    options: RemoteOptions,
    /// Of the server that listens.
    pool: Pool,
    entry: Arc<Forward>,
    stop: CancellationToken,
    /// Cancelled when the server was asked to listen no more.
    over: CancellationToken,
}

impl RemoteSet {
    /// No forwards. Their clients take `connect`, but for what no rule names, which goes direct; they
    /// are noted in `forwards`.
    pub(super) fn new(
        connect: Outbound,
        forwards: Forwards,
        connections: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (running, serving) = (Vec::new(), TaskTracker::new());
        Self { connect, running, forwards, serving, connections, stop }
    }

    /// Asks the servers to listen, each once, and serves what comes. Those without a session are
    /// asked when they have one.
    pub(super) async fn start(
        &mut self,
        forwards: Vec<RemoteOptions>,
        servers: &Servers,
        on_failure: OnForwardFailure,
    ) -> Result<(), Error> {
        for options in forwards {
            let Some(pool) = servers.pool(&options.server) else {
                warn!("{}: there is no server {}", options.forward, options.server);
                continue;
            };
            let forward = options.forward.clone();
            let entry = self.forwards.register(options.entry());
            let noted = Arc::clone(entry.forward());
            let mut remote = Remote::new(pool, forward, entry);
            if pool.availability() == Availability::Ready {
                remote.request(on_failure).await?;
            }
            let (stop, over) = (self.stop.child_token(), CancellationToken::new());
            let service = self.service(&options, Arc::clone(&noted), stop.clone());
            let ends = over.clone().drop_guard();
            self.serving.spawn(async move {
                remote.run(service).await;
                drop(ends);
            });
            self.running.push(Running { options, pool: pool.clone(), entry: noted, stop, over });
        }
        Ok(())
    }

    /// Another one, while the others run. Where the server has a session it is asked at once.
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
        match timeout(ASKED, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ForwardRefusal::Server(error.to_string())),
            Err(_) => return Err(ForwardRefusal::Server("the server does not answer".into())),
        }
        let added = self.running.last().map(|running| Arc::clone(&running.entry));
        added.ok_or(ForwardRefusal::Ending)
    }

    /// The one with this number.
    pub(super) fn find(&self, id: u64) -> Option<&RemoteOptions> {
        let found = self.running.iter().find(|running| running.entry.id() == id);
        found.map(|running| &running.options)
    }

    /// Has the server listen there no more. What came in goes on.
    pub(super) async fn remove(&mut self, id: u64) {
        let Some(at) = self.running.iter().position(|running| running.entry.id() == id) else {
            return;
        };
        let running = self.running.remove(at);
        running.stop.cancel();
        // A server that does not answer lets go of the port when its session ends.
        let _ = timeout(PATIENCE, running.over.cancelled()).await;
    }

    /// Changes over to these forwards. Those that are the same, on a server that is the same, stay.
    pub(super) async fn reload(&mut self, forwards: Vec<RemoteOptions>, servers: &Servers) {
        let mut added = forwards;
        let mut kept = Vec::new();
        for running in std::mem::take(&mut self.running) {
            let same_server = servers
                .pool(&running.options.server)
                .is_some_and(|pool| pool.is_same_as(&running.pool));
            match added.iter().position(|options| *options == running.options) {
                Some(same) if same_server => {
                    added.remove(same);
                    kept.push(running);
                }
                _ => {
                    running.stop.cancel();
                    // The server must have let go of the port before it is asked for again.
                    running.over.cancelled().await;
                }
            }
        }
        self.running = kept;
        // What is refused is asked for again.
        let _ = self.start(added, servers, OnForwardFailure::GoOn).await;
    }

    /// Waits until no server listens any more, after the stop.
    pub(super) async fn closed(&self) {
        self.serving.close();
        self.serving.wait().await;
    }

    fn service(
        &self,
        options: &RemoteOptions,
        entry: Arc<Forward>,
        stop: CancellationToken,
    ) -> Service {
        let credentials = options.credentials.clone();
        let connect = Outbound { routing: options.routing(), ..self.connect.clone() };
        let handler = ProxyHandler::new(connect.clone(), credentials, GreetingLimits::default());
        Service {
            name: options.name.clone(),
            entry,
            connect,
            proxy: Arc::new(handler),
            connections: self.connections.clone(),
            stop,
        }
    }
}

/// How long a server may take to listen no more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to listen: its answer has 10 s, and another one may come first.
const ASKED: Duration = Duration::from_secs(15);
