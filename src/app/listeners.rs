//! The listeners on this machine that run, each with what its clients find.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Error, ListenerOptions, OnForwardFailure, Service};
use crate::control::ForwardRefusal;
use crate::dial::{Kind, Routing};
use crate::forward::{ListenAddress, SocketFiles};
use crate::listen::connect::Outbound;
use crate::listen::{
    Accepted, ForwardHandler, GreetingLimits, Handler, Inherited, Listener, ProxyCredentials,
    ProxyHandler,
};
use crate::registry::{Place, PlaceState, Places, Registered};
use crate::route::Action;

/// The listeners that run.
#[derive(Debug)]
pub(super) struct ListenerSet {
    connect: Outbound,
    /// How a unix socket is made that is added while the others run.
    files: SocketFiles,
    running: Vec<Running>,
    /// Forwards whose address could not be had.
    failed: Vec<(ListenerOptions, Registered)>,
    places: Places,
    /// The tasks that accept.
    accepting: TaskTracker,
    /// The connections that run.
    connections: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    options: ListenerOptions,
    entrance: Arc<Entrance>,
    place: Registered,
    stop: CancellationToken,
    /// The tasks that accept there. When they have ended, the address is free.
    accepting: TaskTracker,
}

/// Sockets that are bound, and nobody accepts there yet; or why they could not be had.
#[derive(Debug)]
pub(super) struct Bound {
    options: ListenerOptions,
    sockets: Result<Vec<Listener>, String>,
}

/// The handler of a listener. A reload may replace it, while the socket stays.
#[derive(Debug)]
struct Entrance {
    behind: ArcSwap<Behind>,
    place: Arc<Place>,
}

/// What is behind an entrance.
#[derive(Debug)]
struct Behind {
    /// What the rules call the listener, where it is not its address.
    name: Option<Arc<str>>,
    handler: AnyDoor,
}

#[derive(Clone, Debug)]
enum AnyDoor {
    Proxy(Arc<ProxyHandler>),
    Forward(Arc<ForwardHandler>),
}

/// Binds the sockets of listeners, but for those that somebody else bound for them.
///
/// # Errors
///
/// The first that cannot be had; a forward only where `on_failure` says so.
pub(super) fn bind(
    listeners: Vec<ListenerOptions>,
    on_failure: OnForwardFailure,
    files: SocketFiles,
    inherited: &Inherited,
) -> Result<Vec<Bound>, Error> {
    let bind = |options: &ListenerOptions| {
        let handed = inherited.take(options.name.as_deref(), &options.address)?;
        if handed.is_empty() { Listener::bind(&options.address, files) } else { Ok(handed) }
    };
    let mut bound = Vec::new();
    for options in listeners {
        let address = options.address.to_string();
        match (bind(&options), &options.service, on_failure) {
            (Ok(sockets), _, _) => bound.push(Bound { options, sockets: Ok(sockets) }),
            (Err(error), Service::Forward { .. }, OnForwardFailure::GoOn) => {
                warn!("cannot listen on {address}: {error}");
                bound.push(Bound { options, sockets: Err(error.to_string()) });
            }
            (Err(cause), _, _) => return Err(Error::Listen { address, cause }),
        }
    }
    Ok(bound)
}

impl ListenerSet {
    /// No listeners. Their clients take `connect`, and run on `connections`; they are noted in
    /// `places`.
    pub(super) fn new(
        connect: Outbound,
        files: SocketFiles,
        places: Places,
        connections: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (running, failed, accepting) = (Vec::new(), Vec::new(), TaskTracker::new());
        Self { connect, files, running, failed, places, accepting, connections, stop }
    }

    /// Another one, while the others run. A port that the system chose is its port from now on.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub(super) fn add(
        &mut self,
        mut options: ListenerOptions,
    ) -> Result<Arc<Place>, ForwardRefusal> {
        let address = options.address.to_string();
        let is_chosen = matches!(options.address, ListenAddress::Tcp { port: 0, .. });
        if !is_chosen && self.running.iter().any(|other| other.options.address == options.address) {
            return Err(ForwardRefusal::Taken(address));
        }
        let sockets = Listener::bind(&options.address, self.files).map_err(|error| {
            ForwardRefusal::Address { address: address.clone(), reason: error.to_string() }
        })?;
        let chosen = sockets.first().and_then(Listener::local_address);
        if let (ListenAddress::Tcp { port, .. }, Some(chosen)) = (&mut options.address, chosen) {
            *port = chosen.port();
        }
        self.open(vec![Bound { options, sockets: Ok(sockets) }]);
        let opened = self.running.last().map(|running| Arc::clone(running.place.place()));
        opened.ok_or(ForwardRefusal::Ending)
    }

    /// The one whose place has this number, whether it could be had or not.
    pub(super) fn find(&self, place: u64) -> Option<&ListenerOptions> {
        let running = self.running.iter().map(|running| (&running.options, &running.place));
        let failed = self.failed.iter().map(|(options, place)| (options, place));
        running.chain(failed).find(|(_, of)| of.id() == place).map(|(options, _)| options)
    }

    /// Lets nobody in there any more, and waits until the address is free. What came in goes on.
    pub(super) async fn remove(&mut self, place: u64) {
        self.failed.retain(|(_, failed)| failed.id() != place);
        if let Some(at) = self.running.iter().position(|running| running.place.id() == place) {
            self.running.remove(at).close().await;
        }
    }

    /// What the proxies ask their clients for, where they do.
    pub(super) fn credentials(&self) -> Option<Arc<ProxyCredentials>> {
        self.running.iter().find_map(|running| match &running.options.service {
            Service::Proxy { credentials } => credentials.clone(),
            Service::Forward { .. } => None,
        })
    }

    /// Lets clients in.
    pub(super) fn open(&mut self, bound: Vec<Bound>) {
        for Bound { options, sockets } in bound {
            let place = self.places.register(options.place());
            let sockets = match sockets {
                Ok(sockets) => sockets,
                Err(why) => {
                    place.set_state(PlaceState::Refused(why.into()));
                    self.failed.push((options, place));
                    continue;
                }
            };
            let names = sockets.iter().map(|socket| Arc::clone(socket.name())).collect();
            place.set_state(PlaceState::Listening(names));
            let behind = self.behind(&options);
            for socket in &sockets {
                info!("listening on {} ({})", socket.name(), behind.handler.words());
            }
            let entrance = Arc::new(Entrance {
                behind: ArcSwap::from_pointee(behind),
                place: Arc::clone(place.place()),
            });
            let (stop, here) = (self.stop.child_token(), TaskTracker::new());
            for socket in sockets {
                let (entrance, connections) = (Arc::clone(&entrance), self.connections.clone());
                let ours = self.connect.dialer.own().register(socket.place(), Kind::Listener);
                let accepting = socket.run(entrance, connections, stop.clone());
                self.accepting.spawn(here.track_future(async move {
                    let _ours = ours;
                    accepting.await;
                }));
            }
            self.running.push(Running { options, entrance, place, stop, accepting: here });
        }
    }

    /// Those of `listeners` whose address is not listened on yet.
    pub(super) fn missing(&self, listeners: &[ListenerOptions]) -> Vec<ListenerOptions> {
        let is_new = |options: &&ListenerOptions| {
            self.running.iter().all(|running| running.options.address != options.address)
        };
        listeners.iter().filter(is_new).cloned().collect()
    }

    /// Changes over to these listeners. `bound` are those that were [missing](Self::missing). The
    /// sockets of the others stay, and so do all connections.
    pub(super) async fn reload(
        &mut self,
        listeners: &[ListenerOptions],
        files: SocketFiles,
        bound: Vec<Bound>,
    ) {
        self.files = files;
        let mut kept = Vec::new();
        self.failed.clear();
        for mut running in std::mem::take(&mut self.running) {
            let same_address =
                |options: &&ListenerOptions| options.address == running.options.address;
            match listeners.iter().find(same_address) {
                None => running.close().await,
                Some(options) => {
                    if *options != running.options {
                        running.entrance.behind.store(Arc::new(self.behind(options)));
                        running.place.describe(options.place());
                        running.options = options.clone();
                    }
                    kept.push(running);
                }
            }
        }
        self.running = kept;
        self.open(bound);
    }

    /// Waits until nobody accepts any more, after the stop.
    pub(super) async fn closed(&self) {
        self.accepting.close();
        self.accepting.wait().await;
    }

    fn behind(&self, options: &ListenerOptions) -> Behind {
        let connect = |routing| Outbound { routing, ..self.connect.clone() };
        let handler = match &options.service {
            Service::Proxy { credentials } => AnyDoor::Proxy(Arc::new(ProxyHandler::new(
                connect(Routing::Rules),
                credentials.clone(),
                GreetingLimits::default(),
            ))),
            Service::Forward { to, via } => {
                let routing = match via {
                    Some(via) => Routing::Fixed(Action::Via(Arc::clone(via))),
                    None => Routing::Rules,
                };
                AnyDoor::Forward(Arc::new(ForwardHandler::new(connect(routing), to.clone())))
            }
        };
        Behind { name: options.name.clone(), handler }
    }
}

impl Running {
    /// Lets nobody in any more, and waits until the address is free.
    async fn close(self) {
        info!("no longer listening on {}", self.options.address);
        self.stop.cancel();
        self.accepting.close();
        self.accepting.wait().await;
    }
}

impl AnyDoor {
    /// What clients find, in words.
    fn words(&self) -> String {
        match self {
            Self::Proxy(handler) => handler.protocols().to_owned(),
            Self::Forward(handler) => format!("to {}", handler.target()),
        }
    }
}

impl Handler for Entrance {
    async fn serve(self: Arc<Self>, mut accepted: Accepted, shutdown: CancellationToken) {
        self.place.accept();
        let behind = self.behind.load_full();
        if let Some(name) = &behind.name {
            accepted.listener = Arc::clone(name);
        }
        let handler = behind.handler.clone();
        drop(behind);
        match handler {
            AnyDoor::Proxy(handler) => handler.serve(accepted, shutdown).await,
            AnyDoor::Forward(handler) => handler.serve(accepted, shutdown).await,
        }
    }

    fn make_room(&self) {
        match &self.behind.load().handler {
            AnyDoor::Proxy(handler) => handler.make_room(),
            AnyDoor::Forward(handler) => handler.make_room(),
        }
    }
}
