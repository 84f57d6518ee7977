//! The program while it runs, and how it changes over to other options.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::listeners::{self, Bound, ListenerSet};
use super::options::{OnForwardFailure, Options};
use super::remotes::RemoteSet;
use super::servers::{ServerSet, Telling};
use super::{Error, drain};
use crate::dial::{CurrentRoutes, DEADLINE, Dialer, Routes, Routing, Servers};
use crate::listen::connect::Outbound;
use crate::openssh::Prompter;
use crate::registry::Registry;
use crate::relay::Relayer;

/// The program while it runs.
#[derive(Debug)]
pub struct Running {
    routes: CurrentRoutes,
    connect: Outbound,
    servers: ServerSet,
    listeners: ListenerSet,
    remotes: RemoteSet,
    /// Bound before a password is asked for, and opened when the servers are there.
    bound: Vec<Bound>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// Binds the listeners. Nobody is let in yet.
    ///
    /// # Errors
    ///
    /// An address cannot be had.
    pub(super) fn bind(options: &Options, prompter: Prompter) -> Result<Self, Error> {
        let bound = {
            let Options { listeners, on_forward_failure, sockets, .. } = options;
            listeners::bind(listeners.clone(), *on_forward_failure, *sockets)?
        };
        let routes = Routes { router: options.router.clone(), servers: Servers::default() };
        let routes = CurrentRoutes::new(routes);
        let dialer = Dialer::new(routes.clone(), DEADLINE);
        let relayer = Relayer::new(options.backlog);
        let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
        let registry = Registry::new();
        let servers = ServerSet::new(prompter, relayer.clone(), registry.clone());
        let connect = Outbound {
            dialer,
            routing: Routing::Rules,
            relayer,
            connections: registry.connections.clone(),
        };
        Ok(Self {
            routes,
            servers,
            listeners: ListenerSet::new(
                connect.clone(),
                registry.places.clone(),
                connections.clone(),
                stop.clone(),
            ),
            remotes: RemoteSet::new(
                connect.clone(),
                registry.places.clone(),
                connections.clone(),
                stop.clone(),
            ),
            connect,
            bound,
            connections,
            stop,
        })
    }

    /// Connects to the servers, and lets clients in.
    ///
    /// # Errors
    ///
    /// No server could be reached, or a forward could not be had that the user cannot do without.
    pub(super) async fn start(&mut self, options: Options) -> Result<(), Error> {
        let telling = if options.stdio.is_some() { Telling::Quietly } else { Telling::Aloud };
        self.servers.connect(options.servers, telling).await?;
        let servers = self.servers.pools();
        self.routes.replace(Routes { router: options.router, servers: servers.clone() });
        self.listeners.open(std::mem::take(&mut self.bound));
        self.remotes.start(options.remote_forwards, &servers, options.on_forward_failure).await
    }

    /// The way that the rules say.
    pub(super) fn connect(&self) -> Outbound {
        self.connect.clone()
    }

    /// Changes over to other options. What is the same in both stays as it is: listeners, sessions,
    /// connections. What is there no more takes nothing new, and ends with what it carries.
    ///
    /// # Errors
    ///
    /// A new listener cannot be had. Nothing has changed then.
    pub async fn reload(&mut self, options: Options) -> Result<(), Error> {
        let missing = self.listeners.missing(&options.listeners);
        let bound = listeners::bind(missing, OnForwardFailure::Exit, options.sockets)?;
        self.servers.reload(options.servers);
        let servers = self.servers.pools();
        self.routes.replace(Routes { router: options.router, servers: servers.clone() });
        self.listeners.reload(&options.listeners, bound);
        self.remotes.reload(options.remote_forwards, &servers).await;
        Ok(())
    }

    /// Stops before it has been ready.
    pub(super) async fn abandon(self) {
        self.stop.cancel();
        self.servers.shutdown().await;
    }

    /// Lets nobody in any more, waits for what runs, and ends the sessions.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.listeners.closed().await;
        self.remotes.closed().await;
        drain(&self.connections).await;
        self.servers.shutdown().await;
        // What was cut now tells its client so.
        let _ = timeout(LAST_WORDS, self.connections.wait()).await;
    }
}

/// How long connections may take to end once their sessions have.
const LAST_WORDS: Duration = Duration::from_secs(1);
