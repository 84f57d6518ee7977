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
//! - **draining**: too old, has carried too much, or has a window made for another line: takes none,
//!   and is closed when the last channel is. A session above the minimum that has been empty for a
//!   minute goes the same way, and so does one that is full of what nobody wants any more.
//! - **closed**: by us, by the server, or because it did not answer (`monitor`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::driver::Driver;
use self::jump::JumpRoute;
use self::names::KnownTargets;
use self::placement::{Growth, View};
use crate::lock::lock;
use crate::openssh::ClientConfig;
use crate::registry::ServerLog;
use crate::ssh::OpenKind;
use crate::ssh::connect::{ConnectError, Connector};
use crate::ssh::session::Session;
use crate::target::Target;
use crate::task;

mod availability;
mod driver;
mod first;
pub(crate) mod jump;
pub(crate) mod monitor;
mod names;
mod pace;
mod placed;
pub mod placement;
mod policy;
mod size;
mod survey;
mod told;
mod wake;
mod watched;

pub use availability::{Availability, PoolLoad};
pub use first::{FirstAttempt, FirstSession};
pub use jump::{Carry, JumpHosts};
pub(crate) use pace::Backoff;
pub use placed::Placed;
pub use size::{InvalidPoolSize, PoolSize};
pub use survey::{JumpView, PoolView, SessionState, SessionView};

/// A handle to the pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

/// What the handles and the driver share.
#[derive(Debug)]
struct Shared {
    connector: Connector,
    /// The way to the server.
    route: Arc<JumpRoute>,
    sessions: Mutex<Vec<Arc<Session>>>,
    status: Mutex<Status>,
    log: ServerLog,
    targets: KnownTargets,
    /// Told to requests that wait: there is another session, or none can be had.
    changed: Notify,
    /// Told to the driver: another session is wanted.
    wanted: Notify,
    /// No more channels.
    retired: CancellationToken,
    stop: CancellationToken,
    driver: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// There is no session, and another attempt to have one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSession;

/// Why there is no session, and who waits for one.
#[derive(Debug, Default)]
struct Status {
    reason: String,
    /// Attempts that failed while no session was there.
    failures: usize,
    /// Requests that wait for a session.
    waiting: usize,
    /// Listeners that wait for a session to be on.
    listeners: usize,
    /// There is none, and the last attempt to get one failed, or nobody may make one.
    down: bool,
    /// When the next attempt comes, after one that failed.
    next_attempt: Option<Instant>,
    /// When the last session was lost, and why, in printable words.
    last_loss: Option<(Instant, String)>,
    /// Bytes of the sessions that are over, to the server and from it.
    past: (u64, u64),
    /// The bounds of the pool, once they are known.
    size: Option<PoolSize>,
    /// How long another session takes to come; none where there may be no other.
    next: Option<Duration>,
}

impl Pool {
    /// Opens the first session, so that what is wrong is known now, and keeps the pool from then on.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the connection is cut and nothing stays behind.
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

    /// Begins to open the first session, and keeps the pool from now on whatever comes of that. The
    /// first attempt may ask a person. Where it fails, more follow: at once when there is a request,
    /// and without one unless the server, or its host key, was the obstacle.
    ///
    /// Without a `size`, a server whose login needs a person gets one session, and any other the
    /// default. What comes of each attempt and session is told to `log`.
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
        let connector = Connector::new(config, route.prompter(), hops, route.memory());
        let shared = Arc::new(Shared {
            connector,
            route: Arc::clone(&route),
            sessions: Mutex::default(),
            status: Mutex::new(Status { size, ..Status::default() }),
            log,
            targets: KnownTargets::default(),
            changed: Notify::new(),
            wanted: Notify::new(),
            retired: CancellationToken::new(),
            stop: CancellationToken::new(),
            driver: Mutex::default(),
        });
        let (tell, first) = first::channel();
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
        let shared = &self.0;
        let mut waiting = None;
        loop {
            let changed = shared.changed.notified();
            if let Some(placed) = self.try_place(target) {
                return placed;
            }
            if waiting.is_none() {
                waiting = Some(Waiting::new(shared, Waiter::Request));
            }
            shared.wanted.notify_one();
            if shared.targets.kind(target) == OpenKind::Alone {
                // Nobody tells when a session has become free of others.
                let _ = timeout(FREE_AGAIN, changed).await;
            } else {
                changed.await;
            }
        }
    }

    /// A session for a listener on the server; waits while there is none. The pool opens its sessions
    /// in its own time for it, but asks a person, as for a request.
    pub(crate) async fn host(&self) -> Arc<Session> {
        let shared = &self.0;
        let mut waiting = None;
        loop {
            let changed = shared.changed.notified();
            if let Some(session) = shared.choose(OpenKind::Plain) {
                return session;
            }
            if waiting.is_none() {
                waiting = Some(Waiting::new(shared, Waiter::Listener));
                shared.wanted.notify_one();
            }
            changed.await;
        }
    }

    /// As [`Self::place`], but waits no longer than until an attempt to connect has failed.
    pub(crate) async fn place_or_fail(&self, target: &Target) -> Result<Placed, NoSession> {
        let failures = || lock(&self.0.status).failures;
        let before = failures();
        let mut place = std::pin::pin!(self.place(target));
        loop {
            let changed = self.0.changed.notified();
            tokio::select! {
                biased;
                placed = &mut place => return Ok(placed),
                () = changed => {}
            }
            if failures() != before {
                return Err(NoSession);
            }
        }
    }

    /// Why there is no session, as far as it is known.
    pub fn reason(&self) -> String {
        lock(&self.0.status).reason.clone()
    }

    /// Whether both are handles to the same pool.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes no more channels; each session ends with the last channel that it carries.
    pub fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Completes when it takes no more channels.
    pub(crate) async fn retired(&self) {
        self.0.retired.cancelled().await;
    }

    /// Whether it has ended, with all of its sessions.
    pub fn is_over(&self) -> bool {
        lock(&self.0.driver).as_ref().is_none_or(AbortOnDropHandle::is_finished)
    }

    /// Whether it has been told to end, or to take no more channels.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.stop.is_cancelled() || self.0.retired.is_cancelled()
    }

    /// Says goodbye to the server on every session, and ends them.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        let driver = lock(&self.0.driver).take();
        if let Some(driver) = driver {
            let _ = driver.await;
        }
    }
}

impl Shared {
    /// The sessions that take channels.
    fn ready(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).iter().filter(|s| s.is_ready()).map(Arc::clone).collect()
    }

    /// Whether there should be another session before anybody asks.
    fn reserve(&self) -> Growth {
        let views: Vec<View> = self.ready().iter().map(|s| view(s)).collect();
        placement::reserve(&views)
    }

    /// The best session there is, and a word to the driver where another one would be better.
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
        scouts: load.scouts(),
        channels: load.channels(),
        free: load.is_free(),
        risky: load.alone() > 0,
    }
}

/// How often a request that wants a session for itself looks for one.
const FREE_AGAIN: Duration = Duration::from_millis(200);

/// Who waits for a session.
#[derive(Clone, Copy, Debug)]
enum Waiter {
    Request,
    Listener,
}

/// Somebody waits for a session until this is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    who: Waiter,
}

impl Status {
    fn count(&mut self, who: Waiter) -> &mut usize {
        match who {
            Waiter::Request => &mut self.waiting,
            Waiter::Listener => &mut self.listeners,
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared, who: Waiter) -> Self {
        *lock(&shared.status).count(who) += 1;
        Self { shared, who }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *lock(&self.shared.status).count(self.who) -= 1;
    }
}
