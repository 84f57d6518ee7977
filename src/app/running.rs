//! The program while it runs, and how it changes over to other options.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::dashboard::Dashboard;
use super::forwards::{self, Judged, RunTimeChanges};
use super::listeners::{self, Bound, ListenerSet};
use super::manager::Reports;
use super::options::{OnForwardFailure, Options};
use super::remotes::RemoteSet;
use super::servers::{ServerSet, Telling};
use super::{Error, drain};
use crate::control::location::Location;
use crate::control::{
    ControlServer, ForwardOrder, ForwardRefusal, Order, Phase, Program, StopKind,
};
use crate::dial::{CurrentRoutes, DEADLINE, Dialer, OwnPlaces, Routes, Routing, Servers};
use crate::listen::connect::Outbound;
use crate::openssh::Prompter;
use crate::registry::{Place, Registry};
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
    registry: Registry,
    program: Program,
    /// What was added while it runs, and what was taken back of the command line.
    changes: RunTimeChanges,
    /// Ends with the program: the control socket, and the beat of the figures.
    looked_at: JoinSet<()>,
    dashboard: Dashboard,
    stop: CancellationToken,
}

impl Running {
    /// Binds the listeners, and lets the user look on and give orders. Nobody else is let in yet.
    ///
    /// # Errors
    ///
    /// An address cannot be had.
    pub(super) fn bind(
        options: &Options,
        prompter: Prompter,
    ) -> Result<(Self, mpsc::Receiver<Order>), Error> {
        let bound = {
            let Options { listeners, on_forward_failure, sockets, inherited, .. } = options;
            listeners::bind(listeners.clone(), *on_forward_failure, *sockets, inherited)?
        };
        for name in options.inherited.left() {
            warn!("the socket {name} of the service manager belongs to no listener");
        }
        let routes = Routes { router: options.router.clone(), servers: Servers::default() };
        let routes = CurrentRoutes::new(routes);
        let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
        let registry = Registry::new();
        let connect = Outbound {
            dialer: Dialer::new(routes.clone(), DEADLINE),
            routing: Routing::Rules,
            relayer: Relayer::new(options.backlog),
            connections: registry.connections.clone(),
        };
        let control = control_socket(&options.control.location, connect.dialer.own())?;
        if let Some(log) = &options.control.access_log {
            let file = || log.file.display().to_string();
            let started = log.start(&registry.events);
            started.map_err(|cause| Error::AccessLog { file: file(), cause })?;
        }
        let (give, orders) = mpsc::channel(ORDERS);
        let facts = options.control.facts.clone();
        let program = Program::new(facts, registry.clone(), routes.clone(), connect.clone(), give);
        let (wanted, own) = (options.control.dashboard.clone(), connect.dialer.own());
        let dashboard = Dashboard::start(wanted, &program, own).map_err(Error::Dashboard)?;
        let looked_at = look_on(&program, control);
        let running = Self {
            routes,
            servers: ServerSet::new(prompter, connect.relayer.clone(), registry.clone()),
            listeners: {
                let (places, connections) = (registry.places.clone(), connections.clone());
                ListenerSet::new(
                    connect.clone(),
                    options.sockets,
                    places,
                    connections,
                    stop.clone(),
                )
            },
            remotes: {
                let (places, connections) = (registry.places.clone(), connections.clone());
                RemoteSet::new(connect.clone(), places, connections, stop.clone())
            },
            connect,
            bound,
            connections,
            registry,
            program,
            changes: RunTimeChanges::default(),
            looked_at,
            dashboard,
            stop,
        };
        Ok((running, orders))
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
        let forwards = options.remote_forwards;
        self.remotes.start(forwards, &servers, options.on_forward_failure).await?;
        self.program.set_phase(Phase::Running);
        Ok(())
    }

    /// The way that the rules say.
    pub(super) fn connect(&self) -> Outbound {
        self.connect.clone()
    }

    /// Changes over to other options. What is the same in both stays as it is: listeners, sessions,
    /// connections. What is there no more takes nothing new, and ends with what it carries. What was
    /// added while it runs stays.
    ///
    /// # Errors
    ///
    /// A new listener cannot be had. Nothing has changed then.
    pub async fn reload(&mut self, mut options: Options) -> Result<(), Error> {
        self.changes.apply(&mut options);
        let missing = self.listeners.missing(&options.listeners);
        let Options { sockets, inherited, .. } = &options;
        let bound = listeners::bind(missing, OnForwardFailure::Exit, *sockets, inherited)?;
        let (wanted, own) = (options.control.dashboard.take(), self.connect.dialer.own());
        self.dashboard.reload(wanted, &self.program, own).await.map_err(Error::Dashboard)?;
        self.servers.reload(options.servers);
        let servers = self.servers.pools();
        self.routes.replace(Routes { router: options.router, servers: servers.clone() });
        // Not before nobody is led to them any more.
        self.servers.retire_former();
        self.listeners.reload(&options.listeners, options.sockets, bound).await;
        self.remotes.reload(options.remote_forwards, &servers).await;
        let routes = self.routes.load();
        let is_rule = |name: &str| routes.router.rules().iter().any(|rule| *rule.name == *name);
        self.registry.tallies.keep(|name| servers.pool(name).is_some(), is_rule);
        Ok(())
    }

    /// Does what changes forwards; a stop is for whoever runs this.
    pub(super) async fn obey(&mut self, order: Order) -> Option<StopKind> {
        // Whoever asked may have left.
        match order {
            Order::Stop(kind) => return Some(kind),
            Order::AddForward(order, done) => drop(done.send(self.add_forward(order).await)),
            Order::RemoveForward(id, done) => drop(done.send(self.remove_forward(id).await)),
        }
        None
    }

    async fn add_forward(&mut self, order: ForwardOrder) -> Result<Arc<Place>, ForwardRefusal> {
        let servers = self.servers.pools();
        let credentials = self.listeners.credentials();
        let permit = |server: &str| self.servers.permit(server);
        match forwards::judge(order, &servers, permit, credentials)? {
            Judged::Here(options) => {
                let place = self.listeners.add(options)?;
                self.changes.listeners.extend(self.listeners.find(place.id()).cloned());
                Ok(place)
            }
            Judged::There(options) => {
                let place = self.remotes.add(options, &servers).await?;
                self.changes.remotes.extend(self.remotes.find(place.id()).cloned());
                Ok(place)
            }
        }
    }

    async fn remove_forward(&mut self, id: u64) -> Result<(), ForwardRefusal> {
        if let Some(options) = self.listeners.find(id) {
            self.changes.take_back_listener(options)?;
            self.listeners.remove(id).await;
        } else if let Some(options) = self.remotes.find(id) {
            self.changes.take_back_remote(options)?;
            self.remotes.remove(id).await;
        } else {
            return Err(ForwardRefusal::Unknown(id));
        }
        Ok(())
    }

    /// Keeps the service manager informed, for as long as the value lives.
    pub(super) fn reports(&self) -> Reports {
        Reports::start(self.routes.clone(), self.registry.clone())
    }

    /// Stops before it has been ready.
    pub(super) async fn abandon(mut self) {
        self.stop.cancel();
        self.servers.shutdown().await;
        self.dashboard.stop(&self.program).await;
        self.looked_at.shutdown().await;
    }

    /// Lets nobody in any more, waits for what runs until `now`, and ends the sessions.
    pub(super) async fn stop(mut self, now: impl Future<Output = ()>) {
        self.program.set_phase(Phase::Draining);
        self.stop.cancel();
        let gently = async {
            self.listeners.closed().await;
            self.remotes.closed().await;
            drain(&self.connections).await;
        };
        tokio::select! {
            () = gently => {}
            () = now => {}
        }
        self.servers.shutdown().await;
        // Where nothing was waited for, it is still open.
        self.connections.close();
        // What was cut now tells its client so.
        let _ = timeout(LAST_WORDS, async {
            self.connections.wait().await;
            self.connect.relayer.pipes_ended().await;
        })
        .await;
        self.dashboard.stop(&self.program).await;
        self.looked_at.shutdown().await;
    }
}

/// Lets the user look on by the control socket, where there is one, and measures for whoever looks on.
fn look_on(program: &Program, control: Option<ControlServer>) -> JoinSet<()> {
    let mut looked_at = JoinSet::new();
    let beating = program.clone();
    looked_at.spawn(async move { beating.beat().await });
    if let Some(control) = control {
        debug!("control socket {}", control.path().display());
        looked_at.spawn(control.run(program.clone()));
    }
    looked_at
}

/// The control socket, where there is to be one.
fn control_socket(location: &Location, own: &OwnPlaces) -> Result<Option<ControlServer>, Error> {
    match (ControlServer::bind(location, own), location) {
        (Ok(control), _) => Ok(control),
        (Err(error), Location::At(_)) => Err(Error::Control(error)),
        // Nobody has asked for it.
        (Err(error), Location::Named(_) | Location::None) => {
            info!("no control socket: {error}");
            Ok(None)
        }
    }
}

/// How long connections may take to end once their sessions have.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many orders wait to be done.
const ORDERS: usize = 16;
