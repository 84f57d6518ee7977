//! Dials: applies the rules to a request and opens its channel, on a server or directly, within one deadline.
//!
//! - `routing`: how the requests of a listener are routed.
//! - `servers`: the current servers and rules, replaced atomically on a reload.
//! - `select`, `via`: which of several servers carries a request.
//! - `own`: this program's own listeners, which are not connected to.
//! - `blame`: who is to blame for a failure, and its code in each protocol.
//! - `direct`: direct connections, if a rule says so. A request that no session can carry fails; it never
//!   becomes direct.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::{Instant, timeout_at};

use crate::channel::Channel;
use crate::destination::{Destination, Host};
use crate::pool::Pool;
use crate::registry::Connection;
use crate::request::{Request, Source};
use crate::route::{self, Action, Decision, Localhost, Outcome, Query, Router, Select, Via};
use crate::ssh::OpenError;
use crate::target::Target;

mod blame;
mod direct;
mod error;
mod look_up;
mod own;
mod routing;
mod select;
mod servers;
mod via;

pub use blame::Blame;
pub use error::{Carrier, DialError, DialFailure, MissingSession, Way};
pub use own::{BoundAddress, Kind, OwnAddresses, Registered};
pub use routing::Routing;
pub use servers::{CurrentRoutes, Routes, Servers};

use direct::Avoided;
pub(crate) use look_up::look_up;
use routing::PERMIT;
use select::View;

/// Turns requests into channels.
#[derive(Clone, Debug)]
pub struct Dialer {
    routes: CurrentRoutes,
    own: OwnAddresses,
    deadline: Duration,
}

/// A confirmed channel, and its route.
#[derive(Debug)]
pub struct Connected<C> {
    /// The channel.
    pub channel: C,
    /// Its route.
    pub way: Way,
}

impl Dialer {
    /// Dials by the current routes; one dial takes at most `deadline` (default [`DEADLINE`]).
    pub fn new(routes: CurrentRoutes, deadline: Duration) -> Self {
        Self { routes, own: OwnAddresses::default(), deadline }
    }

    /// The listeners of this program. Each listener is registered here, so that no request is connected to it.
    pub fn own(&self) -> &OwnAddresses {
        &self.own
    }

    /// The number of times the routes were replaced; earlier decisions may no longer hold.
    pub(crate) fn replaced(&self) -> u64 {
        self.routes.replaced()
    }

    /// The current rules as a proxy auto-configuration file. `proxies` are the listeners as a browser reaches
    /// them. Without rules, everything except this machine goes to the proxy.
    pub fn pac(&self, proxies: &[Destination]) -> String {
        let router = &self.routes.load().router;
        let localhost = if router.has_rules() { Localhost::ByRules } else { Localhost::Direct };
        route::pac(router, proxies, localhost)
    }

    /// Opens a channel to the target of the connection's request, and records each stage in the connection. An
    /// open whose session is lost is retried; a failure of the target is returned at once.
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
            Action::Via(via) => self.open_via(&via, connection, deadline, &mut way).await,
            Action::Direct { addresses } => {
                way.carrier = Carrier::Direct;
                connection.asked(None, 0);
                let own = Avoided { own_addresses: &self.own, protocol: request.protocol };
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
    async fn open_via(
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
            // The current routes, since a reload may have replaced a pool.
            let routes = self.routes.load();
            let (names, pools) = self.in_order(&routes.servers, via);
            if pools.is_empty() {
                return Err(no_session(&routes.servers, via));
            }
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
                    // A session other than the first may have answered.
                    connection.carried_by(placed.session());
                    return Ok(channel.into());
                }
                // Another session or the next server may serve the request.
                Ok(Err(OpenError::SessionLost)) => {}
                // A target that has led to such an answer twice is probably its cause, and must not end session
                // after session.
                Ok(Err(OpenError::Unreadable)) => {
                    unreadable += 1;
                    if unreadable == MAX_UNREADABLE {
                        return Err(DialError::Unreachable);
                    }
                }
                Ok(Err(OpenError::Target(fault))) => return Err(DialError::of_target(fault, name)),
                // The target is to blame only if the server is known to have tried it.
                Err(_) if placed.has_begun() => return Err(DialError::TimedOut),
                Err(_) => return Err(DialError::NoAnswer { server: Arc::clone(name) }),
            }
            way.carrier = Carrier::None;
            connection.asked_in_vain();
        }
    }

    /// The servers in the order to try, without those that are no longer configured.
    fn in_order<'a>(
        &self,
        servers: &'a Servers,
        via: &'a Via,
    ) -> (Vec<&'a Arc<str>>, Vec<&'a Pool>) {
        let known: Vec<_> =
            via.servers.iter().filter_map(|name| Some((name, servers.get(name)?))).collect();
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

/// Completes when one of the pools has retired. There must be at least one.
async fn any_retired(pools: &[&Pool]) {
    select_all(pools.iter().map(|pool| Box::pin(pool.retired()))).await;
}

/// Applies the rules, and looks the name up on this machine if a rule needs its addresses. If that fails, the
/// request is refused, since the rule might forbid it.
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
        // Unreachable after a look-up; rejected to be safe.
        Outcome::Resolve => Decision { rule: None, action: Action::Reject },
    })
}

/// The failure for a destination that `PermitRemoteOpen` does not permit.
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
        reason: servers.get(server).map_or_else(|| "not configured".to_owned(), Pool::reason),
    });
    DialError::NoSession { servers: missing.collect() }
}

/// The originator address for the server: the client's, or the one that `ssh` sends if there is none.
fn origin(source: Source) -> SocketAddr {
    match source {
        Source::Tcp(address) | Source::Remote(address) => address,
        Source::Unix => SocketAddr::from((Ipv4Addr::LOCALHOST, u16::MAX)),
    }
}

/// The default deadline of a dial.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Sessions ended by an undecodable answer after which the request fails.
const MAX_UNREADABLE: usize = 2;

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::runtime::Builder;
    use tokio::time::advance;

    use super::*;
    use crate::registry::{Connections, Tracked};

    fn dialer() -> Dialer {
        let routes = Routes { router: Router::via_one("gone".into()), servers: Servers::default() };
        Dialer::new(CurrentRoutes::new(routes), DEADLINE)
    }

    fn request() -> Tracked {
        Connections::default().begin(&Request::for_test("web.example:80"))
    }

    /// A reload has removed the server of a pending request.
    #[tokio::test(start_paused = true)]
    async fn a_request_for_a_removed_server_fails_at_once() {
        let begun = Instant::now();
        let error = dialer().dial(&Routing::Rules, &request()).await.expect_err("no server").error;
        assert_eq!(error.to_string(), "no session to the SSH server gone: not configured");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[test]
    fn silent_name_servers_are_not_the_target_s_fault() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let (busy, until) = std::sync::mpsc::channel::<()>();
        let result = runtime.block_on(async {
            // The only blocking thread is occupied.
            drop(tokio::task::spawn_blocking(move || until.recv()));
            let routing = Routing::Fixed(Action::Direct { addresses: None });
            join(dialer().dial(&routing, &request()), advance(DEADLINE)).await.0
        });
        runtime.shutdown_background();
        drop(busy);
        assert_eq!(result.expect_err("no address").error, DialError::LookUpFailed);
    }
}
