//! Joins the request, the rules and the servers: one deadline for the whole dial, and what to say when
//! it fails.
//!
//! - `servers`: the servers and the rules that are in force, swapped at once on a reload.
//! - `select`, `via`: which of several servers carries a request.
//! - `own`: where this program itself listens, which is nowhere to go.
//! - `blame`: whose fault a failure is, and what each protocol says of it.
//! - `direct`: from here, where a rule says so. A request that no session can carry fails; it never
//!   becomes direct.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::channel::Channel;
use crate::destination::{Destination, Host};
use crate::forward::PermitOpen;
use crate::pool::Pool;
use crate::registry::Connection;
use crate::request::{Request, Source};
use crate::route::{self, Action, Decision, Localhost, Outcome, Query, Router, Select, Via};
use crate::ssh::OpenError;
use crate::target::Target;

mod blame;
mod direct;
mod error;
mod own;
mod select;
mod servers;
mod via;

pub use blame::Blame;
pub use error::{Carrier, DialError, DialFailure, MissingSession, Way};
pub use own::{Kind, OwnPlaces, Place, Registered};
pub use servers::{CurrentRoutes, Routes, Servers};

use direct::Avoided;
use select::View;

/// Turns requests into channels.
#[derive(Clone, Debug)]
pub struct Dialer {
    routes: CurrentRoutes,
    own: OwnPlaces,
    deadline: Duration,
}

/// Who says which way a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The rules and their default.
    Rules,
    /// The rules; what none of them names goes direct. Nothing is dialled that is not permitted,
    /// whatever they say.
    RulesOrDirect(PermitOpen),
    /// It is fixed: a forward says so itself.
    Fixed(Action),
}

/// A confirmed channel, and the way that it took.
#[derive(Debug)]
pub struct Connected<C> {
    /// The channel.
    pub channel: C,
    /// Its way.
    pub way: Way,
}

impl Dialer {
    /// Dials by the routes in force; one dial takes no longer than `deadline` (default [`DEADLINE`]).
    pub fn new(routes: CurrentRoutes, deadline: Duration) -> Self {
        Self { routes, own: OwnPlaces::default(), deadline }
    }

    /// Where this program listens: whatever does so is registered here, so that nobody is led to it.
    pub fn own(&self) -> &OwnPlaces {
        &self.own
    }

    /// The rules in force as a proxy auto-configuration file for `proxies`, our listeners as a browser
    /// reaches them. Where there are no rules, everything is for the proxy but this machine itself.
    pub fn pac(&self, proxies: &[Destination]) -> String {
        let router = &self.routes.load().router;
        let localhost = if router.has_rules() { Localhost::ByRules } else { Localhost::Direct };
        route::pac(router, proxies, localhost)
    }

    /// Opens a channel to the target of the connection's request, and tells the connection of each
    /// stage. A session that is lost before the channel is
    /// confirmed is our fault and is made up for; what the target does is told at once.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; a late success is closed.
    pub async fn dial(
        &self,
        routing: &Routing,
        connection: &Connection,
    ) -> Result<Connected<Channel>, DialFailure> {
        let request = connection.request();
        let deadline = Instant::now() + self.deadline;
        let routes = self.routes.load();
        let Decision { rule, action } = match routing {
            Routing::Fixed(action) => Decision { rule: None, action: action.clone() },
            Routing::Rules => decide(&routes.router, request).await?,
            Routing::RulesOrDirect(permit) => {
                if !permit.admits(&request.target) {
                    return Err(not_permitted());
                }
                let direct = Action::Direct { addresses: None };
                decide(&routes.router.with_default(direct), request).await?
            }
        };
        connection.decided(rule.as_ref());
        let mut way = Way { rule, carrier: Carrier::None };
        let dialled = match action {
            Action::Via(via) => self.over(&via, connection, deadline, &mut way).await,
            Action::Direct { addresses } => {
                way.carrier = Carrier::Direct;
                connection.asked(None, 0);
                let own = Avoided { places: &self.own, unless_named: request.protocol };
                let connecting = direct::connect(&request.target, addresses.as_deref(), own);
                let connected = timeout_at(deadline, connecting).await;
                connected.unwrap_or(Err(DialError::TimedOut)).map(Channel::from)
            }
            Action::Reject => Err(DialError::Rejected { rule: way.rule.clone() }),
        };
        match dialled {
            Ok(channel) => {
                connection.opened();
                Ok(Connected { channel, way })
            }
            Err(error) => Err(DialFailure { error, way }),
        }
    }

    /// Opens a channel on a session of one of the servers.
    async fn over(
        &self,
        via: &Via,
        connection: &Connection,
        deadline: Instant,
        way: &mut Way,
    ) -> Result<Channel, DialError> {
        let Request { target, source, .. } = connection.request();
        let origin = origin(*source);
        let mut unreadable = 0;
        loop {
            // Those of now: a reload may have put another pool in the place of one.
            let routes = self.routes.load();
            let (names, pools) = self.in_order(&routes.servers, via);
            let placed = tokio::select! {
                biased;
                placed = timeout_at(deadline, via::place(&pools, target)) => placed,
                () = any_retired(&pools) => continue,
            };
            let (index, placed) = placed.map_err(|_| no_session(&routes.servers, via))?;
            let name = names[index];
            if via.select == Select::Latency {
                self.routes.memory.remember(&via.servers, name);
            }
            way.carrier = Carrier::Server(Arc::clone(name));
            connection.asked(Some(name), placed.session());
            match timeout_at(deadline, placed.open(target, origin)).await {
                Ok(Ok(channel)) => {
                    // Another session may have been sooner.
                    connection.carried_by(placed.session());
                    return Ok(channel.into());
                }
                // Another session may serve it, or the next server.
                Ok(Err(OpenError::SessionLost)) => {}
                // Whoever was twice there when an answer ended a session is likely the one who asked
                // for it, and must not end session after session.
                Ok(Err(OpenError::Unreadable)) => {
                    unreadable += 1;
                    if unreadable == MAX_UNREADABLE {
                        return Err(DialError::Unreachable);
                    }
                }
                Ok(Err(OpenError::Target(fault))) => return Err(DialError::of_target(fault, name)),
                // The target's fault only where the server is known to have gone to it.
                Err(_) if placed.has_come_to() => return Err(DialError::TimedOut),
                Err(_) => return Err(DialError::NoAnswer { server: Arc::clone(name) }),
            }
            way.carrier = Carrier::None;
            connection.asked_in_vain();
        }
    }

    /// The servers in the order in which they are asked. One that is not configured any more is left
    /// out.
    fn in_order<'a>(
        &self,
        servers: &'a Servers,
        via: &'a Via,
    ) -> (Vec<&'a Arc<str>>, Vec<&'a Pool>) {
        let known: Vec<_> =
            via.servers.iter().filter_map(|name| Some((name, servers.pool(name)?))).collect();
        if known.len() < 2 || via.select == Select::Order {
            return known.into_iter().unzip();
        }
        let views: Vec<_> = known.iter().map(|(_, pool)| view(pool)).collect();
        let last = self.routes.memory.last(&via.servers);
        let last = last.and_then(|last| known.iter().position(|(name, _)| **name == last));
        let order = select::order(via.select, &views, last);
        order.into_iter().map(|index| known[index]).unzip()
    }
}

/// Completes when one of them takes no more requests.
async fn any_retired(pools: &[&Pool]) {
    let mut retired: Vec<_> = pools.iter().map(|pool| Box::pin(pool.retired())).collect();
    poll_fn(|cx| {
        let any = retired.iter_mut().any(|retired| retired.as_mut().poll(cx).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Asks the rules, and looks the name up here where one of them wants that. A rule that cannot be
/// judged lets nothing pass: it may be the one that forbids it.
async fn decide(router: &Router, request: &Request) -> Result<Decision, DialFailure> {
    let query = Query {
        host: request.target.host(),
        port: request.target.port(),
        listener: &request.listener,
        source: request.source.ip(),
        user: request.user.as_deref(),
    };
    if let Outcome::Decided(decision) = router.decide(&query, None) {
        return Ok(decision);
    }
    let found = match &request.target {
        Target::Host(destination) => match destination.host() {
            Host::Name(name) => look_up(name).await.ok_or_else(|| {
                let rule = router.explain(&query, None).unresolved().rule().cloned();
                let way = Way { rule, carrier: Carrier::None };
                DialFailure { error: DialError::LookUpFailed, way }
            })?,
            Host::Ip(ip) => vec![*ip],
        },
        Target::Socket(_) => Vec::new(),
    };
    Ok(match router.decide(&query, Some(&found)) {
        Outcome::Decided(decision) => decision,
        // It was looked up: whoever still cannot say allows nothing.
        Outcome::Resolve => Decision { rule: None, action: Action::Reject },
    })
}

/// What a name stands for, as this machine sees it, for a rule that wants to know: nothing where there
/// is no such name, and `None` where nobody could tell in time.
pub(crate) async fn look_up(name: &str) -> Option<Vec<IpAddr>> {
    timeout(LOOK_UP, direct::look_up(name)).await.ok()?.ok()
}

/// What the owner of this side has not permitted to clients of a server.
fn not_permitted() -> DialFailure {
    let rule: Arc<str> = PERMIT.into();
    let way = Way { rule: Some(Arc::clone(&rule)), carrier: Carrier::None };
    DialFailure { error: DialError::Rejected { rule: Some(rule) }, way }
}

fn view(pool: &Pool) -> View {
    View { availability: pool.availability(), round_trip: pool.round_trip(), load: pool.load() }
}

fn no_session(servers: &Servers, via: &Via) -> DialError {
    let missing = via.servers.iter().map(|server| MissingSession {
        server: Arc::clone(server),
        reason: servers.pool(server).map_or_else(|| "not configured".to_owned(), Pool::reason),
    });
    DialError::NoSession { servers: missing.collect() }
}

/// The originator that is told to the server: the client, or what `ssh` says where there is no
/// address.
fn origin(source: Source) -> SocketAddr {
    match source {
        Source::Tcp(address) | Source::Remote(address) => address,
        Source::Unix => SocketAddr::from((Ipv4Addr::LOCALHOST, u16::MAX)),
    }
}

/// What rejects a request that `PermitRemoteOpen` does not permit, told as a rule's name.
const PERMIT: &str = "PermitRemoteOpen";
/// How long a dial may take, unless the user says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// So many sessions may end at an answer that cannot be read and was perhaps not ours.
const MAX_UNREADABLE: usize = 2;
/// How long a look-up on this side may take, for a rule that wants one: the server's turn comes after.
const LOOK_UP: Duration = Duration::from_secs(5);
