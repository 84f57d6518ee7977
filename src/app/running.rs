//! The running program, and its reload.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::dashboard::Dashboard;
use super::forwards::{self, RunTimeChanges};
use super::listeners::{self, Bound, ListenerSet};
use super::manager::Reports;
use super::options::{ForwardOptions, ListenerOptions, Options};
use super::orders::Orders;
use super::remotes::RemoteSet;
use super::servers::ServerSet;
use super::{Error, drain};
use crate::control::location::Location;
use crate::control::{
    ControlServer, ForwardOrder, ForwardRefusal, Order, Phase, Program, StopKind,
};
use crate::dial::{CurrentRoutes, DEADLINE, Dialer, OwnAddresses, Routes, Routing, Servers};
use crate::listen::connect::Outbound;
use crate::openssh::Prompter;
use crate::pool::Report;
use crate::registry::{Forward, Registry};
use crate::relay::Relayer;

/// The running program.
#[derive(Debug)]
pub struct Running {
    routes: CurrentRoutes,
    connect: Outbound,
    servers: ServerSet,
    listeners: ListenerSet,
    remotes: RemoteSet,
    /// Sockets bound before any password prompt, and opened once the servers are connected.
    bound: Vec<Bound>,
    connections: TaskTracker,
    registry: Registry,
    program: Program,
    /// Forwards that were added or removed at run time.
    changes: RunTimeChanges,
    /// The tasks that end last: the control socket, and those that keep its figures up to date.
    observers: JoinSet<()>,
    dashboard: Dashboard,
    stop: CancellationToken,
}

impl Running {
    /// Binds the listeners, and opens the control socket. No client is accepted yet.
    pub(super) async fn bind(
        options: &Options,
        prompter: Prompter,
    ) -> Result<(Self, Orders), Error> {
        let bound = listeners::bind_first(options).await?;
        for name in options.inherited.left() {
            warn!("the socket {name} of the service manager belongs to no listener");
        }
        let routes = Routes { router: options.router.clone(), servers: Servers::default() };
        let routes = CurrentRoutes::new(routes);
        let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
        let registry = Registry::default();
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
        let dashboard = Dashboard::start(wanted, &program, own).await.map_err(Error::Dashboard)?;
        let observers = start_observers(&program, control);
        let shared = || (registry.forwards.clone(), connections.clone(), stop.clone());
        let (forwards, tasks, end) = shared();
        let listeners = ListenerSet::new(connect.clone(), options.sockets, forwards, tasks, end);
        let (forwards, tasks, end) = shared();
        let remotes = RemoteSet::new(connect.clone(), forwards, tasks, end);
        let report = if options.stdio.is_some() { Report::Debug } else { Report::Info };
        let running = Self {
            routes,
            servers: ServerSet::new(prompter, connect.relayer.clone(), registry.clone(), report),
            listeners,
            remotes,
            connect,
            bound,
            connections,
            registry,
            program,
            changes: RunTimeChanges::default(),
            observers,
            dashboard,
            stop,
        };
        Ok((running, Orders::new(orders)))
    }

    /// Connects to the servers, and starts to accept clients.
    pub(super) async fn start(&mut self, options: Options) -> Result<(), Error> {
        self.servers.connect(options.servers).await?;
        let servers = self.servers.pools();
        self.routes.replace(Routes { router: options.router, servers: servers.clone() });
        self.listeners.open(std::mem::take(&mut self.bound));
        let forwards = options.remote_forwards;
        self.remotes.start(forwards, &servers, options.on_forward_failure).await?;
        self.program.set_phase(Phase::Running);
        Ok(())
    }

    /// The connector that dials and relays by the rules.
    pub(super) fn connect(&self) -> Outbound {
        self.connect.clone()
    }

    /// Reloads with new options. Whatever is unchanged stays: listeners, sessions, connections. Whatever is
    /// removed takes no new requests, and ends with its last connection. Forwards that were added at run time
    /// stay. If a new listener cannot be bound, nothing changes; a forward that had already failed is merely
    /// tried again.
    pub async fn reload(&mut self, mut options: Options) -> Result<(), Error> {
        let remaining = self.changes.apply(&mut options);
        let made_way = self.listeners.make_way(&options.listeners).await;
        let bound = match self.bind_missing(&mut options).await {
            Ok(bound) => bound,
            Err(error) => {
                self.listeners.take_back(made_way).await;
                return Err(error);
            }
        };
        self.servers.reload(options.servers);
        let servers = self.servers.pools();
        self.routes.replace(Routes { router: options.router, servers: servers.clone() });
        // This follows the change of routes, so that no request finds a retired pool.
        self.servers.retire_former();
        self.listeners.reload(&options.listeners, options.sockets, bound).await;
        self.remotes.reload(options.remote_forwards, &servers).await;
        let routes = self.routes.load();
        let is_rule = |name: &str| routes.router.rules().iter().any(|rule| *rule.name == *name);
        self.registry.connections.keep(|name| servers.contains_key(name), is_rule);
        self.changes = remaining;
        Ok(())
    }

    /// Binds the new listeners, and the dashboard.
    async fn bind_missing(
        &mut self,
        options: &mut Options,
    ) -> Result<Vec<listeners::Bound>, Error> {
        let missing = self.listeners.missing(&options.listeners);
        let on_failure = |options: &ListenerOptions| self.listeners.on_failure(options);
        let bound =
            listeners::bind(missing, on_failure, options.sockets, &options.inherited).await?;
        bound.iter().for_each(listeners::Bound::log_failure);
        let (wanted, own) = (options.control.dashboard.take(), self.connect.dialer.own());
        self.dashboard.reload(wanted, &self.program, own).await.map_err(Error::Dashboard)?;
        Ok(bound)
    }

    /// Carries out orders that change forwards; returns a stop to the caller.
    pub(super) async fn obey(&mut self, order: Order) -> Option<StopKind> {
        // A send fails only if the receiver has gone, which does not matter.
        match order {
            Order::Stop(kind) => return Some(kind),
            Order::AddForward(order, done) => drop(done.send(self.add_forward(order).await)),
            Order::RemoveForward(id, done) => drop(done.send(self.remove_forward(id).await)),
        }
        None
    }

    async fn add_forward(&mut self, order: ForwardOrder) -> Result<Arc<Forward>, ForwardRefusal> {
        let servers = self.servers.pools();
        let credentials = self.listeners.credentials();
        let permit = |server: &str| self.servers.permit(server);
        match forwards::validate(order, &servers, permit, credentials)? {
            ForwardOptions::Here(options) => {
                let entry = self.listeners.add(options).await?;
                self.changes.listeners.added.extend(self.listeners.find(entry.id()).cloned());
                Ok(entry)
            }
            ForwardOptions::OnServer(options) => {
                let entry = self.remotes.add(options, &servers).await?;
                self.changes.remotes.added.extend(self.remotes.find(entry.id()).cloned());
                Ok(entry)
            }
        }
    }

    async fn remove_forward(&mut self, id: u64) -> Result<(), ForwardRefusal> {
        if let Some(options) = self.listeners.find(id) {
            self.changes.listeners.remove(options, options.origin)?;
            self.listeners.remove(id).await;
        } else if let Some(options) = self.remotes.find(id) {
            self.changes.remotes.remove(options, options.origin)?;
            self.remotes.remove(id).await;
        } else {
            return Err(ForwardRefusal::Unknown(id));
        }
        Ok(())
    }

    /// Starts reports to the service manager, which last as long as the returned value.
    pub(super) fn reports(&self) -> Reports {
        Reports::start(self.routes.clone(), self.registry.clone())
    }

    /// Stops a program that was not ready yet.
    pub(super) async fn abandon(self) {
        self.stop.cancel();
        self.servers.shutdown().await;
        end_observers(&self.program, self.dashboard, self.observers).await;
    }

    /// Stops accepting, drains connections until `now` completes, and ends the sessions.
    pub(super) async fn stop(mut self, now: impl Future<Output = ()>) {
        self.program.set_phase(Phase::Draining);
        self.stop.cancel();
        self.dashboard.stop_listening(&self.program);
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
        // Closed here too, because `drain` may have been skipped.
        self.connections.close();
        // Connections that were cut reset their clients now.
        let _ = timeout(RESET_GRACE, async {
            self.connections.wait().await;
            self.connect.relayer.pipes_ended().await;
        })
        .await;
        end_observers(&self.program, self.dashboard, self.observers).await;
    }
}

/// Ends the dashboard and the control socket, after the answers to the last requests.
async fn end_observers(program: &Program, mut dashboard: Dashboard, mut observers: JoinSet<()>) {
    program.ended().cancel();
    dashboard.stop(program).await;
    while observers.join_next().await.is_some() {}
}

/// Starts the control socket, if there is one, the sampling of rates, and the path probes.
fn start_observers(program: &Program, control: Option<ControlServer>) -> JoinSet<()> {
    let mut observers = JoinSet::new();
    let this = program.clone();
    let work = async move {
        tokio::join!(this.beat(), this.prove_again(), this.report_reloads());
    };
    let ended = program.ended().clone();
    observers.spawn(async move {
        ended.run_until_cancelled(work).await;
    });
    if let Some(control) = control {
        debug!("control socket {}", control.path.display());
        observers.spawn(control.run(program.clone()));
    }
    observers
}

/// Binds the control socket, if one is configured.
fn control_socket(location: &Location, own: &OwnAddresses) -> Result<Option<ControlServer>, Error> {
    match (ControlServer::bind(location, own), location) {
        (Ok(control), _) => Ok(control),
        (Err(error), Location::At(_)) => Err(Error::Control(error)),
        // The user has not asked for this one explicitly.
        (Err(error), Location::Named(_) | Location::None) => {
            info!("no control socket: {error}");
            Ok(None)
        }
    }
}

/// The time for connections to end after their sessions have.
const RESET_GRACE: Duration = Duration::from_secs(1);
/// Capacity of the queue of orders.
const ORDERS: usize = 16;
