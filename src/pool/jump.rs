//! Jump hosts: the servers on the way to others (`ProxyJump`, `-J`).
//!
//! A jump host has a pool like any other server: all servers behind it share its sessions, and it reconnects
//! and grows as needed. A session to a server behind it is carried by one of its channels. That channel is
//! always drained at once, as for any other client, so that a session that is not being read blocks nothing
//! else on the jump host.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
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
use crate::ssh::connect::{self, Asking, ConnectError, Hops, LineMemory, OpeningHop};
use crate::ssh::session::{Channel, OpenError, TargetFault};
use crate::stream::ByteStream;
use crate::target::Target;

/// The jump hosts of the program and their pools. Clones share them.
#[derive(Clone)]
pub struct JumpHosts(Arc<Shared>);

/// Turns a channel into a byte stream. It drains the channel even while the stream is not read, within limits,
/// and reports a cut channel as an error.
pub type Carry = Box<dyn Fn(Channel) -> Box<dyn ByteStream> + Send + Sync>;

struct Shared {
    prompter: Prompter,
    carry: Carry,
    memory: LineMemory,
    report: Report,
    hops: Mutex<Vec<Arc<Hop>>>,
    /// How often the configuration was reloaded.
    reloads: AtomicU64,
    /// The wake detector of all pools, started by the first one.
    wakes: OnceLock<Wakes>,
}

/// A jump host.
struct Hop {
    config: ClientConfig,
    pool: OnceCell<Pool>,
    /// The number of leases.
    uses: AtomicUsize,
    /// Whether the hop is also a configured server, whose pool is owned elsewhere.
    is_configured: AtomicBool,
}

/// A reference to a hop. With the last one, the hop's pool is retired, unless a configured server owns it.
#[derive(Debug)]
struct HopLease {
    jumps: JumpHosts,
    hop: Arc<Hop>,
}

/// The route to one server through its jump hosts.
#[derive(Debug)]
pub(super) struct JumpRoute {
    jumps: JumpHosts,
    /// The last jump host, once `ssh -G` has named it.
    last: Mutex<Option<LastJump>>,
    /// The pool size of a jump host; by default what its login allows.
    size: Option<PoolSize>,
    /// The servers to be reached through this one, and itself last.
    trail: Trail,
}

/// The last jump host, and the number of reloads when `ssh -G` named it.
#[derive(Debug)]
struct LastJump {
    lease: HopLease,
    reloads: u64,
}

/// The servers being connected to, each a hop on the way to the one before it. The references are weak, since
/// each hop owns its connector.
type Trail = Vec<Weak<Hop>>;

impl JumpHosts {
    /// No jump hosts yet. `prompter` asks when a login needs a person; `memory` stores what is learnt about the
    /// paths to the servers; `report` is the level at which the first session to each jump host is logged.
    pub fn new(prompter: Prompter, carry: Carry, memory: LineMemory, report: Report) -> Self {
        Self(Arc::new(Shared {
            prompter,
            carry,
            memory,
            report,
            hops: Mutex::default(),
            reloads: AtomicU64::new(0),
            wakes: OnceLock::new(),
        }))
    }

    /// Makes the next connections ask `ssh` again which jump hosts to use, since the configuration was reloaded.
    pub fn reload(&self) {
        self.0.reloads.fetch_add(1, Relaxed);
    }

    /// A lease of the hop for a configuration; equal configurations share a hop.
    fn lease(&self, config: &ClientConfig) -> HopLease {
        // Dropped after the lock is released: dropping a hop may release the lease of another.
        let _unused: Vec<_>;
        let mut hops = self.hops();
        _unused = hops.extract_if(.., |hop| hop.is_unused()).collect();
        let hop = in_use(&hops, config).cloned().unwrap_or_else(|| add(&mut hops, config));
        hop.uses.fetch_add(1, Relaxed);
        HopLease { jumps: self.clone(), hop }
    }

    /// The hop for a configured server that starts now. A hop that has a pool is not reused, since a reload may
    /// be about to retire that pool.
    fn own_hop(&self, config: &ClientConfig) -> Arc<Hop> {
        let mut hops = self.hops();
        let known = in_use(&hops, config).filter(|hop| hop.pool.get().is_none()).cloned();
        let hop = known.unwrap_or_else(|| add(&mut hops, config));
        hop.is_configured.store(true, Relaxed);
        hop
    }

    /// Shuts down all jump hosts, the farthest first.
    pub async fn shutdown(&self) {
        let hops = std::mem::take(&mut *self.hops());
        // A hop is added after the one that is reached through it.
        for hop in hops {
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

    /// The route to the server of `config`, whose pool has this `size`, an upper bound for that of its jump hosts.
    pub(super) fn new(jumps: &JumpHosts, config: &ClientConfig, size: Option<PoolSize>) -> Self {
        let own = Arc::downgrade(&jumps.own_hop(config));
        Self::on_the_way(jumps, size, vec![own])
    }

    /// The route to the last server of `trail`, on which the others depend.
    fn on_the_way(jumps: &JumpHosts, size: Option<PoolSize>, trail: Trail) -> Self {
        let size = size.map(PoolSize::starting_at_one);
        Self { jumps: jumps.clone(), last: Mutex::default(), size, trail }
    }

    /// The name of the last jump host, once known, and its pool once started.
    pub(super) fn last(&self) -> Option<(String, Option<Pool>)> {
        let last = lock(&self.last);
        let hop = &last.as_ref()?.lease.hop;
        Some((hop.name(), hop.pool.get().cloned()))
    }

    /// The last jump host of `jump` in the current configuration.
    async fn last_hop(&self, jump: &Jump) -> Result<Arc<Hop>, ConnectError> {
        let reloads = self.jumps.0.reloads.load(Relaxed);
        let known = lock(&self.last)
            .as_ref()
            .filter(|last| last.reloads == reloads)
            .map(|last| last.lease.hop.config.clone());
        let config = match known {
            Some(config) => config,
            None => last_of(jump).await?,
        };
        // A hop leased earlier may have been retired with its server.
        let lease = self.jumps.lease(&config);
        let hop = Arc::clone(&lease.hop);
        *lock(&self.last) = Some(LastJump { lease, reloads });
        Ok(hop)
    }

    /// Releases the jump host: the server is no longer connected to.
    pub(super) fn leave(&self) {
        lock(&self.last).take();
    }

    /// Uses `pool` for the servers behind this one.
    pub(super) fn share(&self, pool: &Pool) {
        if let Some(own) = self.trail.last().and_then(Weak::upgrade) {
            // It may have a pool already.
            let _ = own.pool.set(pool.clone());
        }
    }
}

impl Hops for JumpRoute {
    fn open<'a>(
        &'a self,
        jump: &'a Jump,
        next: &'a Target,
        limit: Duration,
        asking: Asking,
    ) -> OpeningHop<'a> {
        // Boxed, since the future is recursive: a hop may lie behind another.
        Box::pin(async move {
            let hop = self.last_hop(jump).await?;
            let mut trail = self.trail.clone();
            let own = Arc::downgrade(&hop);
            let cycle = trail.iter().any(|hop| Weak::ptr_eq(hop, &own));
            trail.push(own);
            if cycle {
                return Err(ConnectError::Circle(names(&trail)));
            }
            let start = || hop.start(&self.jumps, trail, self.size);
            let pool = hop.pool.get_or_try_init(start).await?;
            let (channel, took) = hop.open_on(pool, next, Instant::now() + limit, asking).await?;
            Ok(connect::Hop { stream: (self.jumps.0.carry)(channel), took })
        })
    }
}

impl Drop for HopLease {
    fn drop(&mut self) {
        // The lock makes concurrent callers of `lease` get another hop.
        let _hops = self.jumps.hops();
        let was_last = self.hop.uses.fetch_sub(1, Relaxed) == 1;
        if was_last && !self.hop.is_configured.load(Relaxed) {
            self.hop.pool.get().inspect(|pool| pool.retire());
        }
    }
}

impl Hop {
    /// Whether the pool has ended, or there is none and no lease.
    fn is_unused(&self) -> bool {
        let is_left = self.uses.load(Relaxed) == 0 && !self.is_configured.load(Relaxed);
        self.pool.get().map_or(is_left, Pool::has_ended)
    }

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

    /// Opens a channel to `next`, and returns how long its session took.
    async fn open_on(
        &self,
        pool: &Pool,
        next: &Target,
        deadline: Instant,
        asking: Asking,
    ) -> Result<(Channel, Duration), ConnectError> {
        let lost = || ConnectError::HopLost { hop: self.name(), reason: pool.reason() };
        loop {
            let place = async {
                match asking {
                    Asking::Allowed => pool.place_or_fail(next).await,
                    Asking::Never => pool.place_in_background(next).await,
                }
            };
            let placed = timeout_at(deadline, place).await;
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
}

/// The client configuration of the last jump host.
async fn last_of(jump: &Jump) -> Result<ClientConfig, ConnectError> {
    let (name, options) = jump.last();
    match ClientConfig::query(name, &options).await {
        Ok((config, _)) => Ok(config),
        Err(why) => Err(ConnectError::from(why).at_hop(&name.host)),
    }
}

/// The hop that new leases for this configuration share.
fn in_use<'a>(hops: &'a [Arc<Hop>], config: &ClientConfig) -> Option<&'a Arc<Hop>> {
    let takes_more = |hop: &Hop| !hop.pool.get().is_some_and(Pool::is_shut_down);
    hops.iter().rev().find(|hop| hop.config == *config && takes_more(hop))
}

fn add(hops: &mut Vec<Arc<Hop>>, config: &ClientConfig) -> Arc<Hop> {
    let (uses, is_configured) = (AtomicUsize::new(0), AtomicBool::new(false));
    let hop = Arc::new(Hop { config: config.clone(), pool: OnceCell::new(), uses, is_configured });
    hops.push(Arc::clone(&hop));
    hop
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

/// The originator address of the channel, as sent by `ssh -W`.
const ORIGIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);
