//! The local listeners, each with its handler.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Error, ListenerOptions, OnForwardFailure, Options, Service};
use crate::control::ForwardRefusal;
use crate::dial::Kind;
use crate::forward::ListenAddress;
use crate::listen::connect::Outbound;
use crate::listen::{
    Accepted, ForwardHandler, GreetingLimits, Handler, Inherited, Listener, ProxyCredentials,
    ProxyHandler, SocketOptions,
};
use crate::registry::{Forward, ForwardState, Forwards, Origin, Registered};

#[derive(Debug)]
pub(super) struct ListenerSet {
    connect: Outbound,
    /// The options for sockets that are added at run time.
    sockets: SocketOptions,
    running: Vec<Running>,
    /// The listeners whose address was not available.
    failed: Vec<(ListenerOptions, Registered)>,
    forwards: Forwards,
    accepting: TaskTracker,
    connections: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    options: ListenerOptions,
    handler: Arc<ReloadableHandler>,
    entry: Registered,
    stop: CancellationToken,
    origin: SocketOrigin,
    /// The accept tasks. The address is free when they have ended.
    accepting: TaskTracker,
}

/// Sockets that are bound but do not accept yet, or the reason why they could not be bound.
#[derive(Debug)]
pub(super) struct Bound {
    options: ListenerOptions,
    origin: SocketOrigin,
    sockets: io::Result<Vec<Listener>>,
}

/// Who bound the sockets of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketOrigin {
    Own,
    /// The service manager, which keeps the address for as long as it likes.
    Inherited,
}

/// The handler of a listener, which a reload can replace while the socket stays.
#[derive(Debug)]
struct ReloadableHandler {
    current: ArcSwap<Current>,
    entry: Arc<Forward>,
}

/// The handler in use.
#[derive(Debug)]
struct Current {
    /// The listener's name in rules, if it is not the address of the socket.
    name: Option<Arc<str>>,
    handler: AnyHandler,
    /// Cancelled when the handler is replaced, and when the listener is removed.
    stop: CancellationToken,
}

#[derive(Clone, Debug)]
enum AnyHandler {
    Proxy(Arc<ProxyHandler>),
    Forward(Arc<ForwardHandler>),
}

/// Binds the listeners at start. A failure on the command line is only logged if `on_forward_failure` says
/// so, as in ssh; having nothing left to listen on is an error.
pub(super) async fn bind_first(options: &Options) -> Result<Vec<Bound>, Error> {
    let on_failure = |listener: &ListenerOptions| match (listener.origin, &listener.service) {
        // A proxy of the configuration must exist; otherwise what runs is not what the file describes.
        (Origin::Configuration, Service::Proxy { .. }) => OnForwardFailure::Exit,
        _ => options.on_forward_failure,
    };
    let listeners = options.listeners.clone();
    let mut bound = bind(listeners, on_failure, options.sockets, &options.inherited).await?;
    // A failed listener of a file is not lost: a reload tries again.
    let is_lost =
        |bound: &Bound| bound.sockets.is_err() && bound.options.origin == Origin::CommandLine;
    let is_nothing = options.remote_forwards.is_empty() && bound.iter().all(is_lost);
    let last = if is_nothing { bound.pop() } else { None };
    bound.iter().for_each(Bound::log_failure);
    match last {
        Some(Bound { options, sockets: Err(cause), .. }) => {
            Err(Error::Listen { address: options.address.to_string(), cause })
        }
        Some(_) | None => Ok(bound),
    }
}

/// Binds the sockets of listeners, except those that the service manager has bound. A failure is an
/// error only if `on_failure` says so.
pub(super) async fn bind(
    listeners: Vec<ListenerOptions>,
    on_failure: impl Fn(&ListenerOptions) -> OnForwardFailure,
    sockets: SocketOptions,
    inherited: &Inherited,
) -> Result<Vec<Bound>, Error> {
    let mut bound = Vec::new();
    for options in listeners {
        let on_failure = on_failure(&options);
        match (Bound::bind(options, sockets, inherited).await, on_failure) {
            (Bound { options, sockets: Err(cause), .. }, OnForwardFailure::Exit) => {
                return Err(Error::Listen { address: options.address.to_string(), cause });
            }
            (one, OnForwardFailure::Exit | OnForwardFailure::GoOn) => bound.push(one),
        }
    }
    Ok(bound)
}

impl Bound {
    /// Binds the sockets of a listener, unless the service manager has bound them.
    async fn bind(options: ListenerOptions, sockets: SocketOptions, inherited: &Inherited) -> Self {
        let (origin, sockets) = match inherited.take(options.name.as_deref(), &options.address) {
            Ok(handed) if handed.is_empty() => {
                (SocketOrigin::Own, Listener::bind(&options.address, sockets).await)
            }
            Ok(handed) => (SocketOrigin::Inherited, Ok(handed)),
            Err(error) => (SocketOrigin::Inherited, Err(error)),
        };
        Self { options, origin, sockets }
    }

    /// Logs the reason why it is not bound, if it is not.
    pub(super) fn log_failure(&self) {
        if let Err(error) = &self.sockets {
            warn!("cannot listen on {}: {error}", self.options.address);
        }
    }
}

impl ListenerSet {
    /// Starts with no listeners. Clients are dialled by `connect` and tracked by `connections`; listeners
    /// are registered in `forwards`.
    pub(super) fn new(
        connect: Outbound,
        sockets: SocketOptions,
        forwards: Forwards,
        connections: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (running, failed, accepting) = (Vec::new(), Vec::new(), TaskTracker::new());
        Self { connect, sockets, running, failed, forwards, accepting, connections, stop }
    }

    /// Adds a listener at run time. If it asks for port 0, its port becomes the one that the system chose.
    pub(super) async fn add(
        &mut self,
        mut options: ListenerOptions,
    ) -> Result<Arc<Forward>, ForwardRefusal> {
        let address = options.address.to_string();
        let is_chosen = matches!(options.address, ListenAddress::Tcp { port: 0, .. });
        if !is_chosen && self.running.iter().any(|other| other.options.address == options.address) {
            return Err(ForwardRefusal::Taken(address));
        }
        let sockets = Listener::bind(&options.address, self.sockets).await.map_err(|error| {
            ForwardRefusal::Address { address: address.clone(), reason: error.to_string() }
        })?;
        let chosen = sockets.first().and_then(Listener::local_address);
        if let (ListenAddress::Tcp { port, .. }, Some(chosen)) = (&mut options.address, chosen) {
            *port = chosen.port();
        }
        self.open(vec![Bound { options, origin: SocketOrigin::Own, sockets: Ok(sockets) }]);
        let opened = self.running.last().map(|running| Arc::clone(running.entry.forward()));
        opened.ok_or(ForwardRefusal::Ending)
    }

    /// The options of the listener with this id, bound or not.
    pub(super) fn find(&self, id: u64) -> Option<&ListenerOptions> {
        let running = self.running.iter().map(|running| (&running.options, &running.entry));
        let failed = self.failed.iter().map(|(options, entry)| (options, entry));
        running.chain(failed).find(|(_, of)| of.id() == id).map(|(options, _)| options)
    }

    /// Stops listening, and waits until the address is free. Open connections go on.
    pub(super) async fn remove(&mut self, id: u64) {
        self.failed.retain(|(_, failed)| failed.id() != id);
        if let Some(at) = self.running.iter().position(|running| running.entry.id() == id) {
            self.running.remove(at).close().await;
        }
    }

    /// The credentials that the proxies require, if any.
    pub(super) fn credentials(&self) -> Option<Arc<ProxyCredentials>> {
        self.running.iter().find_map(|running| match &running.options.service {
            Service::Proxy { credentials } => credentials.clone(),
            Service::Forward { .. } => None,
        })
    }

    /// Starts to accept clients.
    pub(super) fn open(&mut self, bound: Vec<Bound>) {
        for Bound { options, origin, sockets } in bound {
            let entry = self.forwards.register(options.entry());
            let sockets = match sockets {
                Ok(sockets) => sockets,
                Err(error) => {
                    entry.set_state(ForwardState::Refused(error.to_string().into()));
                    self.failed.push((options, entry));
                    continue;
                }
            };
            let names = sockets.iter().map(|socket| Arc::clone(socket.name())).collect();
            entry.set_state(ForwardState::Listening(names));
            let (stop, here) = (self.stop.child_token(), TaskTracker::new());
            let current = self.current(&options, &stop);
            for socket in &sockets {
                info!("listening on {} ({})", socket.name(), current.handler.words());
            }
            let handler = Arc::new(ReloadableHandler {
                current: ArcSwap::from_pointee(current),
                entry: Arc::clone(entry.forward()),
            });
            for socket in sockets {
                let (handler, connections) = (Arc::clone(&handler), self.connections.clone());
                let ours =
                    self.connect.dialer.own().register(socket.bound_address(), Kind::Listener);
                let accepting = socket.run(handler, connections, stop.clone());
                self.accepting.spawn(here.track_future(async move {
                    let _ours = ours;
                    accepting.await;
                }));
            }
            self.running.push(Running { options, handler, entry, stop, origin, accepting: here });
        }
    }

    /// The `listeners` whose address is not listened on yet.
    pub(super) fn missing(&self, listeners: &[ListenerOptions]) -> Vec<ListenerOptions> {
        let is_new = |options: &&ListenerOptions| {
            self.running.iter().all(|running| running.options.address != options.address)
        };
        listeners.iter().filter(is_new).cloned().collect()
    }

    /// Closes the listeners that are not in `listeners` and occupy an address that one of those needs; returns
    /// what it closed, for [`Self::take_back`].
    pub(super) async fn make_way(&mut self, listeners: &[ListenerOptions]) -> Vec<ListenerOptions> {
        let is_in_the_way = |running: &mut Running| {
            let at = &running.options.address;
            running.origin == SocketOrigin::Own
                && listeners.iter().all(|options| options.address != *at)
                && listeners.iter().any(|options| options.address.excludes(at))
        };
        let mut closed = Vec::new();
        for running in self.running.extract_if(.., is_in_the_way).collect::<Vec<_>>() {
            closed.push(running.options.clone());
            running.close().await;
        }
        closed
    }

    /// Listens again on what was [closed](Self::make_way) in vain.
    pub(super) async fn take_back(&mut self, closed: Vec<ListenerOptions>) {
        for options in closed {
            let bound = Bound::bind(options, self.sockets, &Inherited::default()).await;
            bound.log_failure();
            self.open(vec![bound]);
        }
    }

    /// The effect on a reload when this listener cannot be bound: none if it could not be bound before.
    pub(super) fn on_failure(&self, options: &ListenerOptions) -> OnForwardFailure {
        let failed_before = self.failed.iter().any(|(failed, _)| failed.address == options.address);
        if failed_before { OnForwardFailure::GoOn } else { OnForwardFailure::Exit }
    }

    /// Replaces the listeners. `bound` are those that were [missing](Self::missing). The sockets of the others
    /// stay open, and so do all relays; if a listener's options have changed, its HTTP connections close after
    /// the current request, and clients that have sent no request are closed.
    pub(super) async fn reload(
        &mut self,
        listeners: &[ListenerOptions],
        sockets: SocketOptions,
        bound: Vec<Bound>,
    ) {
        self.sockets = sockets;
        let mut kept = Vec::new();
        self.failed.clear();
        for mut running in std::mem::take(&mut self.running) {
            let same_address =
                |options: &&ListenerOptions| options.address == running.options.address;
            match listeners.iter().find(same_address) {
                None => running.close().await,
                Some(options) => {
                    if *options != running.options {
                        let current = Arc::new(self.current(options, &running.stop));
                        // Otherwise a user who has lost access could go on with a kept-alive connection.
                        running.handler.current.swap(current).stop.cancel();
                        running.entry.describe(options.entry());
                        running.options = options.clone();
                    }
                    kept.push(running);
                }
            }
        }
        self.running = kept;
        self.open(bound);
    }

    /// Waits, after the stop, until no task accepts any more. No listener is registered then.
    pub(super) async fn closed(&mut self) {
        self.accepting.close();
        self.accepting.wait().await;
        self.running.clear();
        self.failed.clear();
    }

    fn current(&self, options: &ListenerOptions, stop: &CancellationToken) -> Current {
        let connect = Outbound { routing: options.service.routing(), ..self.connect.clone() };
        let handler = match &options.service {
            Service::Proxy { credentials } => AnyHandler::Proxy(Arc::new(ProxyHandler::new(
                connect,
                credentials.clone(),
                GreetingLimits::default(),
            ))),
            Service::Forward { to, .. } => {
                AnyHandler::Forward(Arc::new(ForwardHandler::new(connect, to.clone())))
            }
        };
        Current { name: options.name_in_rules(), handler, stop: stop.child_token() }
    }
}

impl Running {
    /// Stops listening, and waits until the address is free.
    async fn close(self) {
        info!("no longer listening on {}", self.options.address);
        self.stop.cancel();
        self.accepting.close();
        self.accepting.wait().await;
    }
}

impl AnyHandler {
    /// A description for the log.
    fn words(&self) -> String {
        match self {
            Self::Proxy(handler) => handler.protocols().to_owned(),
            Self::Forward(handler) => format!("to {}", handler.target()),
        }
    }
}

impl Handler for ReloadableHandler {
    /// Serves the connection until the handler is replaced or the listener is removed.
    async fn serve(self: Arc<Self>, mut accepted: Accepted, _listener_ends: CancellationToken) {
        self.entry.accept();
        let current = self.current.load_full();
        if let Some(name) = &current.name {
            accepted.listener = Arc::clone(name);
        }
        let (handler, shutdown) = (current.handler.clone(), current.stop.clone());
        drop(current);
        match handler {
            AnyHandler::Proxy(handler) => handler.serve(accepted, shutdown).await,
            AnyHandler::Forward(handler) => handler.serve(accepted, shutdown).await,
        }
    }

    fn make_room(&self) {
        match &self.current.load().handler {
            AnyHandler::Proxy(handler) => handler.make_room(),
            AnyHandler::Forward(handler) => handler.make_room(),
        }
    }
}
