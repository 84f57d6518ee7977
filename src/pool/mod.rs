//! The sessions to one server.
//!
//! The life of a session:
//!
//! ```text
//! connecting ──► ready ──► draining ──► closed
//!      │           └─────────────────────▲
//!      └── failed (back-off, then again)
//! ```
//!
//! - **connecting**: at most two at a time to one server, and only by the driver.
//! - **ready**: takes new channels, as chosen by [`placement`].
//! - **draining**: takes no new channels, and is closed after its last one. A session is drained if it is too old,
//!   has carried too much, or has a window that does not suit the path; if it is above the minimum and has been
//!   empty for a minute, and is not the last quiet one; and if it is flooded with data that no channel accepts.
//! - **closed**: by this program, by the server, or because the server stopped answering (`monitor`).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::driver::Driver;
use self::jump::JumpRoute;
use self::names::KnownTargets;
use self::placement::{Growth, View};
use self::policy::Outlook;
use crate::forward::RemoteListen;
use crate::lock::lock;
use crate::openssh::ClientConfig;
use crate::registry::ServerLog;
use crate::ssh::OpenKind;
use crate::ssh::connect::{ConnectError, Connector};
use crate::ssh::session::Session;
use crate::target::Target;
use crate::task;

mod availability;
mod backoff;
mod driver;
mod first;
pub(crate) mod jump;
mod logged;
pub(crate) mod monitor;
mod names;
mod placed;
pub mod placement;
mod policy;
mod size;
mod snapshot;
#[cfg(test)]
mod tests;
mod wake;
mod watched;

pub use availability::{Availability, PoolLoad};
pub(crate) use backoff::Backoff;
pub use first::{FirstAttempt, FirstSession, Report};
pub use jump::{Carry, JumpHosts};
pub use placed::Placed;
pub use size::{InvalidPoolSize, PoolSize};
pub use snapshot::{JumpView, PoolView, SessionState, SessionView};

/// A handle to the pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

/// The state that the handles and the driver share.
#[derive(Debug)]
struct Shared {
    connector: Connector,
    /// The jump hosts on the way to the server.
    route: Arc<JumpRoute>,
    sessions: Mutex<Vec<Arc<Session>>>,
    status: Mutex<Status>,
    log: ServerLog,
    targets: KnownTargets,
    /// The number of requests that wait for a session.
    requests: AtomicUsize,
    /// The number of remote listeners that wait for a session.
    listeners: AtomicUsize,
    /// Wakes those that wait: there is another session, or an attempt has failed.
    changed: Notify,
    /// Sent when an attempt has failed, or none may be made.
    gave_up: watch::Sender<()>,
    /// Wakes the driver: another session is wanted.
    wanted: Notify,
    /// Cancelled when the pool takes no more channels.
    retired: CancellationToken,
    stop: CancellationToken,
    /// Cancelled when the driver and all sessions have ended.
    ended: CancellationToken,
    driver: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// There is no session, and an attempt to connect has failed or none may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSession;

/// Why there is no session, and when the next may be available.
#[derive(Debug, Default)]
struct Status {
    reason: String,
    /// Consecutive failed attempts without a session.
    failures: usize,
    outlook: Outlook,
    /// When the next attempt is due after a failure.
    next_attempt: Option<Instant>,
    /// When and why the last session was lost; printable.
    last_loss: Option<(Instant, String)>,
    /// Bytes carried by ended sessions, to the server and from it.
    past: (u64, u64),
    /// The bounds of the pool, once they are known.
    size: Option<PoolSize>,
    /// The expected duration of the next attempt; none if there may be no further session.
    next: Option<Duration>,
}

impl Pool {
    /// Opens the first session, so that errors are reported now, and maintains the pool from then on.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the connection is cut, and nothing is left behind.
    pub async fn start(
        config: ClientConfig,
        jumps: &JumpHosts,
        size: Option<PoolSize>,
    ) -> Result<(Self, FirstSession), ConnectError> {
        let route = JumpRoute::new(jumps, &config, size);
        Self::start_on(config, route, size).await
    }

    async fn start_on(
        config: ClientConfig,
        route: JumpRoute,
        size: Option<PoolSize>,
    ) -> Result<(Self, FirstSession), ConnectError> {
        let (pool, first) = Self::begin_on(config, route, size, ServerLog::default());
        let ends_unless_up = pool.0.stop.clone().drop_guard();
        let first = first.outcome().await?;
        ends_unless_up.disarm();
        Ok((pool, first))
    }

    /// Begins to open the first session, and maintains the pool whether or not that succeeds. The first attempt
    /// may ask a person. If it fails, others follow: at once when there is a request, and without a request
    /// unless the server refused the login or its host key was wrong.
    ///
    /// Without a `size`, a server whose login needs a person gets one session, and any other server the
    /// default. `log` records each attempt and session.
    pub fn begin(
        config: ClientConfig,
        jumps: &JumpHosts,
        size: Option<PoolSize>,
        log: ServerLog,
    ) -> (Self, FirstAttempt) {
        let route = JumpRoute::new(jumps, &config, size);
        Self::begin_on(config, route, size, log)
    }

    fn begin_on(
        config: ClientConfig,
        route: JumpRoute,
        size: Option<PoolSize>,
        log: ServerLog,
    ) -> (Self, FirstAttempt) {
        let route = Arc::new(route);
        let hops = Arc::clone(&route);
        let connector = Connector::new(config, &route.prompter(), hops, route.memory());
        let shared = Arc::new(Shared {
            connector,
            route: Arc::clone(&route),
            sessions: Mutex::default(),
            status: Mutex::new(Status { size, ..Status::default() }),
            log,
            targets: KnownTargets::default(),
            requests: AtomicUsize::new(0),
            listeners: AtomicUsize::new(0),
            changed: Notify::new(),
            gave_up: watch::Sender::default(),
            wanted: Notify::new(),
            retired: CancellationToken::new(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            driver: Mutex::default(),
        });
        let (tell, first) = first::channel(shared.connector.held_up());
        let driver = Driver::new(Arc::clone(&shared), size, tell);
        *lock(&shared.driver) = Some(task::spawn(driver.run()));
        let pool = Self(shared);
        route.share(&pool);
        (pool, first)
    }

    /// The server's name, as the user gave it.
    pub fn server(&self) -> &str {
        self.0.connector.name()
    }

    /// A session for a channel to `target`, if there is one.
    pub fn try_place(&self, target: &Target) -> Option<Placed> {
        let shared = &self.0;
        let kind = shared.targets.kind(target);
        let session = shared.choose(kind)?;
        Some(Placed::new(session, kind, Arc::clone(shared)))
    }

    /// A session for a channel to `target`; waits until there is one.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn place(&self, target: &Target) -> Placed {
        let kind = || self.0.targets.kind(target);
        self.0.wait_for(&self.0.requests, || self.try_place(target), kind).await
    }

    /// A session for a remote listener, as soon as there is one: the one on whose server the address is still
    /// bound, or else any. The pool's backoff is not shortened, but a person may be asked, as for a request.
    pub(crate) async fn session_for_listener(&self, listen: &RemoteListen) -> Arc<Session> {
        let has_it = |session: &&Arc<Session>| session.remote_forwards().has_abandoned(listen);
        let known = lock(&self.0.sessions).iter().find(has_it).map(Arc::clone);
        if let Some(session) = known {
            return session;
        }
        let kind = OpenKind::Plain;
        self.0.wait_for(&self.0.listeners, || self.0.choose(kind), || kind).await
    }

    /// As [`Self::place`], but fails when an attempt to connect has failed, or none may be made.
    pub(crate) async fn place_or_fail(&self, target: &Target) -> Result<Placed, NoSession> {
        self.or_fail(self.place(target)).await
    }

    /// As [`Self::place_or_fail`], but for background work: the wait does not count as a request, so that no
    /// person is asked.
    pub(crate) async fn place_in_background(&self, target: &Target) -> Result<Placed, NoSession> {
        let (nobody, kind) = (AtomicUsize::new(0), || self.0.targets.kind(target));
        let placing = self.or_fail(self.0.wait_for(&nobody, || self.try_place(target), kind));
        tokio::select! {
            biased;
            placed = placing => placed,
            () = self.0.needs_person() => Err(NoSession),
        }
    }

    async fn or_fail(&self, placing: impl Future<Output = Placed>) -> Result<Placed, NoSession> {
        let mut gave_up = self.0.gave_up.subscribe();
        tokio::select! {
            biased;
            placed = placing => Ok(placed),
            _ = gave_up.changed() => Err(NoSession),
        }
    }

    /// Why there is no session, as far as is known.
    pub fn reason(&self) -> String {
        lock(&self.0.status).reason.clone()
    }

    /// Whether both handles refer to the same pool.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Stops taking channels; each session ends with its last channel.
    pub fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Completes when the pool takes no more channels.
    pub(crate) async fn retired(&self) {
        self.0.retired.cancelled().await;
    }

    /// Whether the pool and all of its sessions have ended.
    pub fn has_ended(&self) -> bool {
        self.0.ended.is_cancelled()
    }

    /// Whether the pool is shutting down or takes no more channels.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.stop.is_cancelled() || self.0.retired.is_cancelled()
    }

    /// Disconnects every session and ends the pool. Completes for each caller when all of it has ended.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.ended.cancelled().await;
    }
}

impl Shared {
    /// Polls `find` until it returns something; the caller is counted in `waiters` meanwhile.
    async fn wait_for<T>(
        &self,
        waiters: &AtomicUsize,
        find: impl Fn() -> Option<T>,
        kind: impl Fn() -> OpenKind,
    ) -> T {
        let mut counted = None;
        loop {
            let changed = self.changed.notified();
            if let Some(found) = find() {
                return found;
            }
            counted.get_or_insert_with(|| Counted::new(waiters));
            self.wanted.notify_one();
            if kind() == OpenKind::Isolated {
                // There is no notification for a session that loses its other channels.
                let _ = timeout(RECHECK, changed).await;
            } else {
                changed.await;
            }
        }
    }

    /// Completes when a session needs a person to be asked.
    async fn needs_person(&self) {
        loop {
            let changed = self.changed.notified();
            if lock(&self.status).outlook == Outlook::NeedsPerson {
                return;
            }
            changed.await;
        }
    }

    /// The sessions that take channels.
    fn ready(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).iter().filter(|s| s.is_ready()).map(Arc::clone).collect()
    }

    /// The best session; wakes the driver if another one would be better.
    fn choose(&self, kind: OpenKind) -> Option<Arc<Session>> {
        let ready = self.ready();
        let views: Vec<View> = ready.iter().map(|s| view(s)).collect();
        let choice = placement::choose(&views, kind);
        if choice.growth == Growth::Wanted {
            self.wanted.notify_one();
        }
        choice.session.map(|index| Arc::clone(&ready[index]))
    }
}

fn view(session: &Session) -> View {
    let load = session.load();
    let delay = session.expected_delay();
    View {
        slow_readers: load.slow_readers(),
        stuck: session.health().is_stuck(),
        delay,
        excess: delay.saturating_sub(session.health().delay().best().unwrap_or_default()),
        bulk: load.bulk(),
        active: load.active(),
        opening: load.opening(),
        unresolved: load.unresolved(),
        channels: load.channels(),
        free: load.is_free(),
        risky: load.isolated() > 0,
    }
}

/// How often a request that needs an empty session looks for one.
const RECHECK: Duration = Duration::from_millis(200);

/// Counts one until dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        all.fetch_add(1, Relaxed);
        Self(all)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
