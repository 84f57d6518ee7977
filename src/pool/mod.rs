//! The sessions to one server.
//!
//! A session's life:
//!
//! ```text
//! connecting ──► ready ──► draining ──► closed
//!      │           └─────────────────────▲
//!      └── failed (back-off, then again)
//! ```
//!
//! - **connecting**: at most two at a time to one server. Only the driver connects.
//! - **ready**: takes new channels, as [`placement`] says.
//! - **draining**: takes no new channels, and is closed after the last one. A session drains when it is too
//!   old, has carried too much, or has a window that does not suit the line; when it is above the minimum
//!   and has been empty for a minute, unless all others are in use; and when it is full of data that no
//!   channel takes any more.
//! - **closed**: by this program, by the server, or because the server did not answer (`monitor`).

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
pub(crate) mod monitor;
mod names;
mod placed;
pub mod placement;
mod policy;
mod size;
mod snapshot;
#[cfg(test)]
mod tests;
mod told;
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

/// What the handles and the driver share.
#[derive(Debug)]
struct Shared {
    connector: Connector,
    /// The jump hosts on the way to the server.
    route: Arc<JumpRoute>,
    sessions: Mutex<Vec<Arc<Session>>>,
    status: Mutex<Status>,
    log: ServerLog,
    targets: KnownTargets,
    /// Requests that wait for a session.
    requests: AtomicUsize,
    /// Remote listeners that wait for a session.
    listeners: AtomicUsize,
    /// Notified for those that wait: there is another session, or an attempt has failed.
    changed: Notify,
    /// Sent when an attempt has failed, or none may be made.
    gave_up: watch::Sender<()>,
    /// Notified for the driver: another session is wanted.
    wanted: Notify,
    /// Cancelled when the pool takes no more channels.
    retired: CancellationToken,
    stop: CancellationToken,
    /// Cancelled when the driver and all sessions have ended.
    ended: CancellationToken,
    driver: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// The pool has no session, and an attempt to connect has failed, or none may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSession;

/// Why there is no session, and what is known of the next.
#[derive(Debug, Default)]
struct Status {
    reason: String,
    /// Attempts that failed while there was no session.
    failures: usize,
    outlook: Outlook,
    /// When the next attempt is due, after one that failed.
    next_attempt: Option<Instant>,
    /// When the last session was lost, and why, in printable words.
    last_loss: Option<(Instant, String)>,
    /// Bytes of ended sessions, to the server and from it.
    past: (u64, u64),
    /// The bounds of the pool, once they are known.
    size: Option<PoolSize>,
    /// How long connecting another session is expected to take; none where there may be no other.
    next: Option<Duration>,
}

impl Pool {
    /// Opens the first session, so that its errors are known now, and maintains the pool from then on.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the connection is cut and nothing is left behind.
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

    /// Begins to open the first session, and maintains the pool whether that succeeds or not. The first
    /// attempt may ask a person. If it fails, more follow: at once when there is a request, and without
    /// a request unless the server refused, or its host key was wrong.
    ///
    /// Without a `size`, a server whose login needs a person gets one session, and any other the
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

    /// A session for a channel to `target`; waits while there is none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn place(&self, target: &Target) -> Placed {
        let kind = || self.0.targets.kind(target);
        self.0.wait_for(&self.0.requests, || self.try_place(target), kind).await
    }

    /// A session for a remote listener: the one whose server has not given the place up, or any; waits while there is
    /// none. It does not hurry the pool, but a person may be asked, as for a request.
    pub(crate) async fn session_for_listener(&self, listen: &RemoteListen) -> Arc<Session> {
        let has_it = |session: &&Arc<Session>| session.remote_forwards().has_abandoned(listen);
        let known = lock(&self.0.sessions).iter().find(has_it).map(Arc::clone);
        if let Some(session) = known {
            return session;
        }
        let kind = OpenKind::Plain;
        self.0.wait_for(&self.0.listeners, || self.0.choose(kind), || kind).await
    }

    /// As [`Self::place`], but waits no longer than until an attempt to connect has failed, or none may be made.
    pub(crate) async fn place_or_fail(&self, target: &Target) -> Result<Placed, NoSession> {
        self.or_fail(self.place(target)).await
    }

    /// As [`Self::place_or_fail`], where nobody wants the session now: it is no request, so that nobody is asked
    /// for it.
    pub(crate) async fn place_unasked(&self, target: &Target) -> Result<Placed, NoSession> {
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

    /// Why there is no session, as far as it is known.
    pub fn reason(&self) -> String {
        lock(&self.0.status).reason.clone()
    }

    /// Whether both are handles to the same pool.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes no more channels; each session ends with the last channel that it carries.
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

    /// Whether it is shutting down or takes no more channels.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.stop.is_cancelled() || self.0.retired.is_cancelled()
    }

    /// Disconnects every session, and ends the pool. Completes when all of it has ended, for each caller.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.ended.cancelled().await;
    }
}

impl Shared {
    /// What `find` finds, as soon as it finds something. It is counted among `waiters` meanwhile.
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
                // Nothing is notified when a session becomes free of other channels.
                let _ = timeout(FREE_AGAIN, changed).await;
            } else {
                changed.await;
            }
        }
    }

    /// Completes when there may be a session only when a person is asked.
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

    /// The best session; wakes the driver where another one would be better.
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

/// How often a request that needs a session for itself looks for one.
const FREE_AGAIN: Duration = Duration::from_millis(200);

/// Counts one until it is dropped.
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
