//! Jump hosts: the servers on the way to others (`ProxyJump`, `-J`).
//!
//! A jump host has a pool like any other server: all servers behind it share its sessions, and it reconnects
//! and grows as needed. A session to a server behind it is one of its channels. Data for that session is
//! taken off the channel at once, as for any other client, so that a session that does not read holds up
//! nothing else on the jump host.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout_at};

use super::wake::Wakes;
use super::{Pool, PoolSize, Report};
use crate::lock::lock;
use crate::openssh::client_config::{ClientConfig, Jump};
use crate::openssh::prompt::Prompter;
use crate::printable::{Lines, printable};
use crate::ssh::connect::{self, ConnectError, Hops, LineMemory, OpeningHop};
use crate::ssh::session::{Channel, OpenError, TargetFault};
use crate::stream::ByteStream;
use crate::target::Target;

/// The jump hosts of the program, and their pools. Clones share them.
#[derive(Clone)]
pub struct JumpHosts(Arc<Shared>);

/// Turns a channel into a byte stream. It takes data off the channel whether it is read or not, within
/// limits, and a cut of the channel reads as an error.
pub type Carry = Box<dyn Fn(Channel) -> Box<dyn ByteStream> + Send + Sync>;

struct Shared {
    prompter: Prompter,
    carry: Carry,
    memory: LineMemory,
    report: Report,
    hops: Mutex<Vec<Arc<Hop>>>,
    /// For all pools, begun by the first one.
    wakes: OnceLock<Wakes>,
}

/// A jump host.
struct Hop {
    config: ClientConfig,
    pool: OnceCell<Pool>,
}

/// The route to one server through its jump hosts.
#[derive(Debug)]
pub(super) struct JumpRoute {
    jumps: JumpHosts,
    /// The configuration of the last jump host, once `ssh -G` was asked.
    last: OnceCell<ClientConfig>,
    /// The pool size of a jump host; by default as its login allows.
    size: Option<PoolSize>,
    /// The servers that are to be reached through this one, and itself at the end.
    trail: Trail,
}

/// The servers that are being connected to, each on the way to the one before it. Weak, since each hop owns
/// its connector.
type Trail = Vec<Weak<Hop>>;

impl JumpHosts {
    /// Begins empty. `prompter` asks where a login needs a person; `memory` keeps what is learnt of the lines
    /// to them and to the servers behind; `report` is the level at which the first session to each is logged.
    pub fn new(prompter: Prompter, carry: Carry, memory: LineMemory, report: Report) -> Self {
        Self(Arc::new(Shared {
            prompter,
            carry,
            memory,
            report,
            hops: Mutex::default(),
            wakes: OnceLock::new(),
        }))
    }

    /// What `ssh` would do with the last server on the way.
    async fn last_of(jump: &Jump) -> Result<ClientConfig, ConnectError> {
        let (name, options) = jump.last();
        match ClientConfig::query(name, &options).await {
            Ok((config, _)) => Ok(config),
            Err(why) => Err(ConnectError::from(why).at_hop(&name.host)),
        }
    }

    /// The hop for a configuration; the same one for the same configuration.
    fn hop(&self, config: &ClientConfig) -> Arc<Hop> {
        let mut hops = self.hops();
        // A shared pool may have been shut down meanwhile.
        hops.retain(|hop| !hop.pool.get().is_some_and(Pool::is_shut_down));
        if let Some(hop) = hops.iter().find(|hop| hop.config == *config) {
            return Arc::clone(hop);
        }
        let hop = Arc::new(Hop { config: config.clone(), pool: OnceCell::new() });
        hops.push(Arc::clone(&hop));
        hop
    }

    /// Shuts down all of them, the farthest first.
    pub async fn shutdown(&self) {
        let mut hops = std::mem::take(&mut *self.hops());
        // A hop is added after the one that is reached through it.
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
    /// The prompter for logins that need a person.
    pub(super) fn prompter(&self) -> Prompter {
        self.jumps.0.prompter.clone()
    }

    /// The memory of the lines.
    pub(super) fn memory(&self) -> LineMemory {
        self.jumps.0.memory.clone()
    }

    /// Changes when the machine has woken or its network has changed.
    pub(super) fn woken(&self) -> watch::Receiver<()> {
        self.jumps.0.wakes.get_or_init(Wakes::begin).subscribe()
    }

    /// The route to the server of `config`, whose pool has this `size`; that of a jump host is no larger.
    pub(super) fn new(jumps: &JumpHosts, config: &ClientConfig, size: Option<PoolSize>) -> Self {
        let own = Arc::downgrade(&jumps.hop(config));
        Self::on_the_way(jumps, size, vec![own])
    }

    /// The route to the last server of `trail`, for which the others wait.
    fn on_the_way(jumps: &JumpHosts, size: Option<PoolSize>, trail: Trail) -> Self {
        let size = size.map(PoolSize::starting_at_one);
        Self { jumps: jumps.clone(), last: OnceCell::new(), size, trail }
    }

    /// The name of the last jump host, once it is known, and its pool once there is one.
    pub(super) fn last(&self) -> Option<(String, Option<Pool>)> {
        let last = self.last.get()?;
        let hops = self.jumps.hops();
        let hop = hops.iter().find(|hop| hop.config == *last)?;
        Some((hop.name(), hop.pool.get().cloned()))
    }

    /// Makes `pool` the one for servers behind this server.
    pub(super) fn share(&self, pool: &Pool) {
        if let Some(own) = self.trail.last().and_then(Weak::upgrade) {
            own.share(pool);
        }
    }
}

impl Hops for JumpRoute {
    fn open<'a>(&'a self, jump: &'a Jump, next: &'a Target, limit: Duration) -> OpeningHop<'a> {
        // Boxed, since it is recursive where one hop lies behind another.
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
            let (channel, took) = hop.open_on(pool, next, Instant::now() + limit).await?;
            Ok(connect::Hop { stream: (self.jumps.0.carry)(channel), took })
        })
    }
}

impl Hop {
    /// The name as the user wrote it, escaped.
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
        jumps.0.report.log(&format!("passing {}", first.describe(pool.server())));
        Ok(pool)
    }

    /// Opens a channel to `next`, and tells how long that took on its session.
    async fn open_on(
        &self,
        pool: &Pool,
        next: &Target,
        deadline: Instant,
    ) -> Result<(Channel, Duration), ConnectError> {
        let lost = || ConnectError::HopLost { hop: self.name(), reason: pool.reason() };
        loop {
            let placed = timeout_at(deadline, pool.place_or_fail(next)).await;
            let Ok(Ok(placed)) = placed else { return Err(lost()) };
            let begun = Instant::now();
            let fault = match timeout_at(deadline, placed.open(next, ORIGIN)).await {
                Ok(Ok(channel)) => return Ok((channel, begun.elapsed())),
                Ok(Err(OpenError::SessionLost)) => continue,
                Ok(Err(OpenError::Unreadable)) => TargetFault::Uncertain,
                Ok(Err(OpenError::Target(fault))) => fault,
                Err(_) => TargetFault::TimedOut,
            };
            return Err(ConnectError::HopTarget {
                hop: self.name(),
                next: next.to_string(),
                fault,
            });
        }
    }

    /// Uses `pool` for servers behind this one, unless it has a pool already.
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

/// The originator of the channel, as of `ssh -W`.
const ORIGIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);
