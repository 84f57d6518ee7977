//! A session that a request was given, and the opening of its channel: on a better session where one
//! comes soon, and on another one as well where the first does not answer.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::{Shared, placement, view};
use crate::lock::lock;
use crate::ssh::OpenKind;
use crate::ssh::session::{Channel, OpenError, Opening, Session};
use crate::target::Target;

/// A session that a request was given.
#[derive(Debug)]
pub struct Placed {
    session: Arc<Session>,
    kind: OpenKind,
    pool: Arc<Shared>,
    /// The sessions that were asked for the channel, and when; the last is the one that answered, where
    /// one has.
    asked: Mutex<Vec<(Arc<Session>, Instant)>>,
}

/// An open that is not answered.
struct Outstanding {
    session: Arc<Session>,
    opening: Opening,
}

impl Placed {
    pub(super) fn new(session: Arc<Session>, kind: OpenKind, pool: Arc<Shared>) -> Self {
        Self { session, kind, pool, asked: Mutex::default() }
    }

    /// Opens a channel to `target` for a client at `origin`. Waits a little where another session is
    /// about to be there and would answer sooner. Where the session's answer is late and another one
    /// would come sooner, it is asked as well, and the first answer counts: what the target said is
    /// not asked for again.
    ///
    /// Gives up where the server has stopped answering and there is another session; but not with a
    /// name that may be the reason, which would stop the next session, too.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-open, a late success is closed.
    pub async fn open(&self, target: &Target, origin: SocketAddr) -> Result<Channel, OpenError> {
        let session = self.settled().await;
        let received = session.received();
        let health = session.health();
        let mut next_look = LOOK.max(health.delay().best().unwrap_or_default() * 2);
        let mut first = Some(self.ask(&session, target, origin));
        let mut second: Option<Outstanding> = None;
        let (answerer, opened) = loop {
            let unanswered: Vec<_> = [&first, &second]
                .into_iter()
                .flatten()
                .map(|open| Arc::clone(&open.session))
                .collect();
            tokio::select! {
                biased;
                (from, opened) = answer(&mut first) => match opened {
                    Err(OpenError::SessionLost) if second.is_some() => first = None,
                    opened => break (from, opened),
                },
                (from, opened) = answer(&mut second) => match opened {
                    Err(OpenError::SessionLost) if first.is_some() => second = None,
                    opened => break (from, opened),
                },
                () = suspected(&unanswered), if self.kind == OpenKind::Plain => {
                    if self.pool.has_better(&unanswered) {
                        return Err(OpenError::SessionLost);
                    }
                }
                () = sleep(next_look), if first.is_some() && second.is_none() => {
                    next_look = LOOK;
                    health.request_gauge();
                    // A look-up may be what the server stands still for; not where it sends.
                    let may = match self.kind {
                        OpenKind::Plain => true,
                        OpenKind::Scout => session.received() > received,
                        OpenKind::Alone => false,
                    };
                    if let Some(other) = self.pool.sooner(&session, self.kind).filter(|_| may) {
                        debug!("a session answers late: another one is asked as well");
                        second = Some(self.ask(&other, target, origin));
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

    /// The number of the session that answered, or was asked last; never given twice in one run.
    pub fn session(&self) -> u64 {
        self.asked().last().map_or(self.session.id(), |(session, _)| session.id())
    }

    /// Whether the server has certainly come to what it was asked: it has answered something that was
    /// asked later. While sshd looks a name up its session stands still, and the name is what it has
    /// come to, if the server answers on another.
    pub fn has_come_to(&self) -> bool {
        let elsewhere = |asked| {
            let sessions = lock(&self.pool.sessions);
            self.kind == OpenKind::Scout && sessions.iter().any(|s| s.health().has_come_to(asked))
        };
        let asked = self.asked().clone();
        asked
            .iter()
            .any(|(session, asked)| session.health().has_come_to(*asked) || elsewhere(*asked))
    }

    fn ask(&self, session: &Arc<Session>, target: &Target, origin: SocketAddr) -> Outstanding {
        self.asked().push((Arc::clone(session), Instant::now()));
        let opening = session.open(target, origin, self.kind);
        Outstanding { session: Arc::clone(session), opening }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<(Arc<Session>, Instant)>> {
        lock(&self.asked)
    }

    /// The session that was given, or a better one, where one comes sooner than the given one answers.
    async fn settled(&self) -> Arc<Session> {
        let mut session = Arc::clone(&self.session);
        let begun = Instant::now();
        if self.kind == OpenKind::Alone {
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

/// The answer to an open that is under way, and whose it is.
async fn answer(open: &mut Option<Outstanding>) -> (Arc<Session>, Result<Channel, OpenError>) {
    match open {
        Some(open) => {
            let opened = (&mut open.opening).await;
            (Arc::clone(&open.session), opened)
        }
        None => pending().await,
    }
}

/// Completes when one of the servers that are asked, at least one, has not answered for long.
async fn suspected(asked: &[Arc<Session>]) {
    select_all(asked.iter().map(|session| Box::pin(session.health().suspected()))).await;
}

impl Shared {
    /// Whether none of these is answered, and there is another session whose server answers.
    fn has_better(&self, than: &[Arc<Session>]) -> bool {
        let is_one = |session: &Arc<Session>| than.iter().any(|asked| Arc::ptr_eq(session, asked));
        than.iter().all(|session| session.health().is_stuck())
            && lock(&self.sessions)
                .iter()
                .any(|s| !is_one(s) && s.is_ready() && !s.health().is_stuck())
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

    /// How long to wait for a new session; none where the given one answers as soon.
    fn patience(&self, given: &Session) -> Option<Duration> {
        let next = lock(&self.status).next?;
        (given.expected_delay() > next + WORTHWHILE).then(|| (next * 2).min(PATIENCE))
    }
}

/// How often an open that is not answered is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A session has to be slower than a new one by so much to be worth a wait.
const WORTHWHILE: Duration = Duration::from_millis(100);
/// The longest that a request waits for a better session.
const PATIENCE: Duration = Duration::from_secs(3);
