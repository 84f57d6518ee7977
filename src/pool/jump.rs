//! The servers that are passed on the way to others (`ProxyJump`, `-J`).
//!
//! A server on the way has a pool like any other: it is logged in to once for all that lies behind
//! it, comes back when it is lost, grows where much runs over it. A session to what lies behind is
//! one channel of it. Whatever waits for that session is taken off the channel at once, as for any
//! other client: a session that does not read holds up nobody else on the way.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::{Pool, PoolSize};
use crate::lock::lock;
use crate::openssh::client_config::{ClientConfig, Jump};
use crate::openssh::prompt::Prompter;
use crate::printable::{Lines, printable};
use crate::ssh::connect::{ConnectError, Hops, LineMemory, OpeningStream};
use crate::ssh::session::Channel;
use crate::ssh::session::OpenError;
use crate::ssh::session::TargetFault;
use crate::stream::ByteStream;
use crate::target::Target;

/// The servers on the way of a program, and the sessions to them. Clones are the same.
#[derive(Clone)]
pub struct JumpHosts(Arc<Shared>);

/// Makes a byte stream of a channel. It takes what arrives off the channel whether it is read or
/// not, within bounds, and a cut of the channel reads as an error.
pub type Carry = Box<dyn Fn(Channel) -> Box<dyn ByteStream> + Send + Sync>;

struct Shared {
    prompter: Prompter,
    carry: Carry,
    memory: LineMemory,
    hops: Mutex<Vec<Arc<Hop>>>,
}

/// A server on the way.
struct Hop {
    config: ClientConfig,
    pool: OnceCell<Pool>,
}

/// The way to one server through those before it.
#[derive(Debug)]
pub(super) struct JumpRoute {
    jumps: JumpHosts,
    /// What `ssh` would do with the last server on the way, once it was asked.
    last: OnceCell<ClientConfig>,
    /// How many sessions a server on the way has; by default as its login allows.
    size: Option<PoolSize>,
    /// Who wants to go through this server, and itself at the end.
    trail: Trail,
}

/// The servers that are being connected to, each on the way to the one before it. They keep their
/// connectors, not the other way round.
type Trail = Vec<Weak<Hop>>;

impl JumpHosts {
    /// None yet. `prompter` asks where a login needs a person; what is learnt of the lines to them, and to
    /// what lies behind, is kept in `memory`.
    pub fn new(prompter: Prompter, carry: Carry, memory: LineMemory) -> Self {
        Self(Arc::new(Shared { prompter, carry, memory, hops: Mutex::default() }))
    }

    /// What `ssh` would do with the last server on the way.
    async fn last_of(jump: &Jump) -> Result<ClientConfig, ConnectError> {
        let (name, options) = jump.last();
        match ClientConfig::query(name, &options).await {
            Ok((config, _)) => Ok(config),
            Err(why) => Err(ConnectError::from(why).at_hop(&name.host)),
        }
    }

    /// The server of a configuration. One that is asked for again is the same.
    fn hop(&self, config: &ClientConfig) -> Arc<Hop> {
        let mut hops = self.hops();
        // A pool that was shared may have been shut down meanwhile.
        hops.retain(|hop| !hop.pool.get().is_some_and(Pool::is_shut_down));
        if let Some(hop) = hops.iter().find(|hop| hop.config == *config) {
            return Arc::clone(hop);
        }
        let hop = Arc::new(Hop { config: config.clone(), pool: OnceCell::new() });
        hops.push(Arc::clone(&hop));
        hop
    }

    /// Says goodbye to each of them, the farthest first.
    pub async fn shutdown(&self) {
        let mut hops = std::mem::take(&mut *self.hops());
        // Those on the way to others were asked for after them, and go after them.
        for hop in hops.drain(..) {
            if let Some(pool) = hop.pool.get() {
                pool.shutdown().await;
            }
        }
    }

    fn hops(&self) -> MutexGuard<'_, Vec<Arc<Hop>>> {
        lock(&self.0.hops)
    }
}

impl JumpRoute {
    /// Asks where a login needs a person.
    pub(super) fn prompter(&self) -> Prompter {
        self.jumps.0.prompter.clone()
    }

    /// Where what is learnt of the lines is kept.
    pub(super) fn memory(&self) -> LineMemory {
        self.jumps.0.memory.clone()
    }

    /// To the server of `config`, which has `size` sessions; one before it has no more.
    pub(super) fn new(jumps: &JumpHosts, config: &ClientConfig, size: Option<PoolSize>) -> Self {
        let own = Arc::downgrade(&jumps.hop(config));
        Self::on_the_way(jumps, size, vec![own])
    }

    /// To the last server of `trail`, which the others wait for.
    fn on_the_way(jumps: &JumpHosts, size: Option<PoolSize>, trail: Trail) -> Self {
        let size = size.map(PoolSize::starting_at_one);
        Self { jumps: jumps.clone(), last: OnceCell::new(), size, trail }
    }

    /// The last server on the way, once it was asked for: its name, and its pool where it has one yet.
    pub(super) fn last(&self) -> Option<(String, Option<Pool>)> {
        let last = self.last.get()?;
        let hops = self.jumps.hops();
        let hop = hops.iter().find(|hop| hop.config == *last)?;
        Some((hop.name(), hop.pool.get().cloned()))
    }

    /// Lets what lies behind the server go over `pool`.
    pub(super) fn share(&self, pool: &Pool) {
        if let Some(own) = self.trail.last().and_then(Weak::upgrade) {
            own.share(pool);
        }
    }
}

impl Hops for JumpRoute {
    fn open<'a>(&'a self, jump: &'a Jump, next: &'a Target, limit: Duration) -> OpeningStream<'a> {
        // A box, since this leads to itself where one hop lies behind another.
        Box::pin(async move {
            let last = self.last.get_or_try_init(|| JumpHosts::last_of(jump)).await?;
            let hop = self.jumps.hop(last);
            let mut trail = self.trail.clone();
            let own = Arc::downgrade(&hop);
            let circle = trail.iter().any(|hop| Weak::ptr_eq(hop, &own));
            trail.push(own);
            if circle {
                return Err(ConnectError::Circle(names(&trail)));
            }
            let start = || hop.start(&self.jumps, trail, self.size);
            let pool = hop.pool.get_or_try_init(start).await?;
            let channel = hop.open_on(pool, next, Instant::now() + limit).await?;
            Ok((self.jumps.0.carry)(channel))
        })
    }
}

impl Hop {
    /// Its name, as the user gave it, escaped.
    fn name(&self) -> String {
        printable(&self.config.name, 200, Lines::One)
    }

    async fn start(
        &self,
        jumps: &JumpHosts,
        trail: Trail,
        size: Option<PoolSize>,
    ) -> Result<Pool, ConnectError> {
        let route = JumpRoute::on_the_way(jumps, size, trail);
        let started = Pool::start_on(self.config.clone(), route, size).await;
        let (pool, first) = started.map_err(|error| error.at_hop(&self.config.name))?;
        tracing::info!("passing {}", first.describe(pool.server()));
        Ok(pool)
    }

    async fn open_on(
        &self,
        pool: &Pool,
        next: &Target,
        deadline: Instant,
    ) -> Result<Channel, ConnectError> {
        let lost = || ConnectError::HopLost { hop: self.name(), reason: pool.reason() };
        loop {
            let placed = timeout_at(deadline, pool.place_or_fail(next)).await;
            let Ok(Ok(placed)) = placed else { return Err(lost()) };
            match timeout_at(deadline, placed.open(next, ORIGIN)).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(OpenError::SessionLost)) => {}
                Ok(Err(OpenError::Unreadable)) => {
                    let (hop, next) = (self.name(), next.to_string());
                    let fault = TargetFault::Uncertain;
                    return Err(ConnectError::HopTarget { hop, next, fault });
                }
                Ok(Err(OpenError::Target(fault))) => {
                    let (hop, next) = (self.name(), next.to_string());
                    return Err(ConnectError::HopTarget { hop, next, fault });
                }
                Err(_) => {
                    let (hop, next) = (self.name(), next.to_string());
                    let fault = TargetFault::TimedOut;
                    return Err(ConnectError::HopTarget { hop, next, fault });
                }
            }
        }
    }

    /// Lets what lies behind go over `pool`. One that is there already stays.
    fn share(&self, pool: &Pool) {
        let _ = self.pool.set(pool.clone());
    }
}

fn names(trail: &Trail) -> String {
    let names: Vec<_> = trail.iter().filter_map(Weak::upgrade).map(|hop| hop.name()).collect();
    names.join(" needs ")
}

impl fmt::Debug for JumpHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hops().iter().map(|hop| &hop.config.name)).finish()
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// Who asks for the channel, as `ssh -W` puts it.
const ORIGIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);
