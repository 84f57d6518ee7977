//! The session chosen for a request, and the opening of its channel: on a better session if one is ready soon,
//! and also on a second one if the first does not answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::{Shared, placement, view};
use crate::lock::lock;
use crate::ssh::OpenKind;
use crate::ssh::session::{Channel, OpenError, Session};
use crate::target::Target;

/// The session chosen for a request.
#[derive(Debug)]
pub struct Placed {
    session: Arc<Session>,
    kind: OpenKind,
    pool: Arc<Shared>,
    /// The sessions on which an open was sent, and when; the one that answered comes last.
    asked: Mutex<Vec<(Arc<Session>, Instant)>>,
}

impl Placed {
    pub(super) fn new(session: Arc<Session>, kind: OpenKind, pool: Arc<Shared>) -> Self {
        Self { session, kind, pool, asked: Mutex::default() }
    }

    /// Opens a channel to `target` for a client at `origin`. Waits briefly if another session is being opened
    /// and would answer sooner. If the answer is late and another session would answer sooner, an open is sent
    /// there as well, and the first answer counts, including a failure of the target.
    ///
    /// Gives up if the server has stopped answering and there is another session; but not for an unresolved
    /// name, whose look-up may be the cause and would block the next session, too.
    ///
    /// # Cancel safety
    ///
    /// If dropped, a channel that is confirmed later is closed.
    pub async fn open(&self, target: &Target, origin: SocketAddr) -> Result<Channel, OpenError> {
        let session = self.wait_for_better().await;
        let received = session.received();
        let health = session.health();
        let mut next_look = LOOK.max(health.delay().best().unwrap_or_default() * 2);
        let mut unanswered = vec![Arc::clone(&session)];
        let mut opens = FuturesUnordered::new();
        opens.push(self.ask(&session, target, origin));
        let (answerer, opened) = loop {
            tokio::select! {
                biased;
                Some((from, opened)) = opens.next() => match opened {
                    Err(OpenError::SessionLost) if !opens.is_empty() => {
                        unanswered.retain(|session| !Arc::ptr_eq(session, &from));
                    }
                    opened => break (from, opened),
                },
                () = suspected(&unanswered), if self.kind == OpenKind::Plain => {
                    if self.pool.has_better(&unanswered) {
                        return Err(OpenError::SessionLost);
                    }
                }
                () = sleep(next_look), if self.asked().len() == 1 => {
                    next_look = LOOK;
                    health.request_measurement();
                    // The server may be blocked by the look-up, unless it still sends data.
                    let may = match self.kind {
                        OpenKind::Plain => true,
                        OpenKind::UnresolvedName => session.received() > received,
                        OpenKind::Isolated => false,
                    };
                    if let Some(other) = self.pool.sooner(&session, self.kind).filter(|_| may) {
                        debug!("a session answers late: opening the channel on another one as well");
                        opens.push(self.ask(&other, target, origin));
                        unanswered.push(other);
                    }
                }
            }
        };
        self.asked().sort_by_key(|(session, _)| Arc::ptr_eq(session, &answerer));
        match &opened {
            Ok(_) => self.pool.targets.add(target),
            Err(_) if answerer.ended_unreadable() => self.pool.targets.suspect(target),
            Err(_) => {}
        }
        opened
    }

    /// The number of the session that answered, or else was tried last; unique within a run.
    pub fn session(&self) -> u64 {
        self.asked().last().map_or(self.session.id(), |(session, _)| session.id())
    }

    /// Whether the server has certainly begun to handle the open, since it has answered something sent later.
    /// sshd blocks a session during a name look-up, so that an open to an unresolved name also counts as begun
    /// if the server answers on another session.
    pub fn has_begun(&self) -> bool {
        let elsewhere = |asked| {
            let sessions = lock(&self.pool.sessions);
            self.kind == OpenKind::UnresolvedName
                && sessions.iter().any(|s| s.health().has_reached(asked))
        };
        let asked = self.asked().clone();
        asked
            .iter()
            .any(|(session, asked)| session.health().has_reached(*asked) || elsewhere(*asked))
    }

    /// Sends an open on this session, and waits for its answer.
    fn ask(
        &self,
        session: &Arc<Session>,
        target: &Target,
        origin: SocketAddr,
    ) -> impl Future<Output = (Arc<Session>, Result<Channel, OpenError>)> + use<> {
        self.asked().push((Arc::clone(session), Instant::now()));
        let opening = session.open(target, origin, self.kind);
        let session = Arc::clone(session);
        async move { (session, opening.await) }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<(Arc<Session>, Instant)>> {
        lock(&self.asked)
    }

    /// The chosen session, or a better one that becomes ready before the chosen one would answer.
    async fn wait_for_better(&self) -> Arc<Session> {
        let mut session = Arc::clone(&self.session);
        let begun = Instant::now();
        if self.kind == OpenKind::Isolated {
            return session;
        }
        loop {
            let changed = self.pool.changed.notified();
            let Some(patience) = self.pool.patience(&session) else { return session };
            let Some(left) = patience.checked_sub(begun.elapsed()) else { return session };
            self.pool.wanted.notify_one();
            let _ = timeout(left, changed).await;
            match self.pool.choose(self.kind) {
                Some(better) => session = better,
                None => return session,
            }
        }
    }
}

/// Completes when one of these sessions has not answered for long. There must be at least one.
async fn suspected(asked: &[Arc<Session>]) {
    select_all(asked.iter().map(|session| Box::pin(session.health().suspected()))).await;
}

impl Shared {
    /// Whether all of these sessions are stuck, and there is another one that is not and would be chosen
    /// instead: not one with a slow reader, which may block it as well.
    pub(super) fn has_better(&self, than: &[Arc<Session>]) -> bool {
        let is_one = |session: &Arc<Session>| than.iter().any(|asked| Arc::ptr_eq(session, asked));
        than.iter().all(|session| session.health().is_stuck())
            && lock(&self.sessions).iter().any(|s| {
                let is_free = !s.health().is_stuck() && s.load().slow_readers() == 0;
                !is_one(s) && s.is_ready() && is_free
            })
    }

    /// Another session that would answer much sooner.
    fn sooner(&self, than: &Arc<Session>, kind: OpenKind) -> Option<Arc<Session>> {
        let slow = view(than);
        let mut others = self.ready();
        others.retain(|session| {
            !Arc::ptr_eq(session, than) && placement::is_worth_a_second_try(&slow, &view(session))
        });
        let views: Vec<_> = others.iter().map(|session| view(session)).collect();
        let index = placement::choose(&views, kind).session?;
        Some(others.swap_remove(index))
    }

    /// How long to wait for a new session; none if the chosen one answers about as soon.
    fn patience(&self, given: &Session) -> Option<Duration> {
        let next = lock(&self.status).next?;
        (given.expected_delay() > next + WORTHWHILE).then(|| (next * 2).min(PATIENCE))
    }
}

/// How often a pending open is checked.
const LOOK: Duration = Duration::from_millis(100);
/// How much slower than a new session the chosen one must be to make a wait worthwhile.
const WORTHWHILE: Duration = Duration::from_millis(100);
/// How long a request may wait for a better session.
const PATIENCE: Duration = Duration::from_secs(3);
