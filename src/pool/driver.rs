//! The task that maintains a pool: it feeds events to the policy, and carries out its actions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::first::{FirstSession, Tell};
use super::monitor;
use super::policy::{
    Action, Event, Facts, Failure, Loss, LossCause, Notice, Outage, OutageCause, Outlook, Policy,
    SessionFacts,
};
use super::{PoolSize, Shared, lock, placement};
use crate::registry::{AttemptEnd, SessionEnd};
use crate::ssh::connect::{Asking, ConnectError, Connected, FailureClass, Liveness};
use crate::ssh::session::Session;

/// The state of the driver.
pub(super) struct Driver {
    shared: Arc<Shared>,
    policy: Policy,
    /// Until the first attempt is over.
    first: Option<Tell>,
    liveness: Liveness,
    /// Attempts to connect.
    attempts: JoinSet<Result<Connected, ConnectError>>,
    /// One for each new session; ends when the server no longer counts it as a handshake.
    settling: JoinSet<()>,
    /// Tasks that watch the sessions; each ends with its session.
    watchers: JoinSet<Arc<Session>>,
    /// Disconnects under way.
    closing: JoinSet<()>,
    /// How long the last connect took.
    took: Option<Duration>,
}

impl Driver {
    /// Begins without a session; `first` gets the outcome of the first attempt.
    pub(super) fn new(shared: Arc<Shared>, size: Option<PoolSize>, first: Tell) -> Self {
        Self {
            liveness: shared.connector.liveness(),
            shared,
            policy: Policy::new(size, Instant::now()),
            first: Some(first),
            attempts: JoinSet::new(),
            settling: JoinSet::new(),
            watchers: JoinSet::new(),
            closing: JoinSet::new(),
            took: None,
        }
    }

    /// Runs until the pool is shut down.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _ended = shared.ended.clone().drop_guard();
        let mut upkeep = interval(UPKEEP);
        let mut woken = shared.route.woken();
        self.handle(Event::Time);
        loop {
            let facts = self.facts(&self.sessions());
            if self.policy.is_over(&facts) {
                break;
            }
            let wake_at = self.policy.wake_at(&facts);
            lock(&shared.status).next = self.took.filter(|_| self.policy.may_get_another(&facts));
            tokio::select! {
                () = shared.stop.cancelled() => break,
                () = shared.retired.cancelled(), if !self.policy.is_retired() => {
                    self.first = None;
                    self.handle(Event::Retired);
                }
                () = shared.wanted.notified() => self.handle(Event::Wanted),
                Some(attempt) = self.attempts.join_next() => self.attempted(attempt),
                Some(_) = self.settling.join_next() => self.handle(Event::Settled),
                Some(Ok(session)) = self.watchers.join_next() => self.lost(&session),
                Some(_) = self.closing.join_next() => {}
                Ok(()) = woken.changed() => self.handle(Event::Woken),
                _ = upkeep.tick() => self.handle(Event::Upkeep),
                () = sleep_until(wake_at.unwrap_or(facts.now)), if wake_at.is_some() => {
                    self.handle(Event::Time);
                }
            }
        }
        self.end().await;
    }

    /// Gives an event to the policy, and carries out its actions.
    fn handle(&mut self, event: Event) {
        let sessions = self.sessions();
        let facts = self.facts(&sessions);
        for action in self.policy.on(event, &facts) {
            self.act(action, &sessions);
        }
    }

    /// Carries out an action; `sessions` are those of the facts.
    fn act(&mut self, action: Action, sessions: &[Arc<Session>]) {
        match action {
            Action::Connect(asking) => self.connect(asking),
            Action::AbortAttempts => self.attempts.abort_all(),
            Action::Drain(place, reason) => {
                debug!("{}", reason.text());
                sessions[place].drain();
            }
            Action::Close(place) => self.close(&sessions[place]),
            Action::ProbeAll => {
                self.shared.connector.moved();
                for session in sessions {
                    session.health().request_probe();
                }
            }
            Action::AskAll => {
                self.shared.connector.moved();
                for session in sessions {
                    session.health().request_gauge();
                }
            }
            Action::Show(outage) => self.show(outage),
            Action::Tell(notice) => self.tell(&notice),
        }
    }

    fn connect(&mut self, asking: Asking) {
        let shared = Arc::clone(&self.shared);
        self.attempts.spawn(async move { shared.connector.connect(asking).await });
    }

    fn attempted(&mut self, attempt: Result<Result<Connected, ConnectError>, JoinError>) {
        match attempt {
            Ok(Ok(connected)) if !self.policy.is_retired() => self.connected(connected),
            Ok(Err(error)) => self.failed(error),
            Err(panicked) if panicked.is_panic() => {
                warn!("an attempt to connect ended abruptly: {panicked}");
                self.handle(Event::Abandoned);
            }
            // Aborted, or finished just before that.
            Ok(Ok(_)) | Err(_) => self.handle(Event::Abandoned),
        }
    }

    fn connected(&mut self, connected: Connected) {
        debug!(took_ms = connected.took.as_millis(), "another session is ready");
        self.took = Some(connected.took);
        let (kind, told) = (connected.login.kind, FirstSession::of(&connected));
        self.shared.log.session_up(connected.session.id(), connected.took);
        self.adopt(connected.session);
        self.handle(Event::Connected(kind));
        lock(&self.shared.status).size = self.policy.known_size();
        self.shared.changed.notify_waiters();
        if let Some(first) = self.first.take() {
            // Its receiver may be gone.
            let _ = first.send(Ok(told));
        }
    }

    fn adopt(&mut self, session: Session) {
        let session = Arc::new(session);
        lock(&self.shared.sessions).push(Arc::clone(&session));
        {
            let mut status = lock(&self.shared.status);
            status.reason.clear();
            status.outlook = Outlook::Soon;
            status.next_attempt = None;
        }
        let settling = Arc::clone(&session);
        self.settling.spawn(async move {
            let _ = timeout(SETTLED, settling.ping()).await;
        });
        let (shared, liveness) = (Arc::clone(&self.shared), self.liveness);
        self.watchers.spawn(async move {
            let learn = |beat, span| shared.connector.learn(&session, beat, span);
            let watched = async {
                tokio::select! {
                    () = monitor::watch(&*session, liveness, learn) => {}
                    never = shared.connector.measure(&session) => match never {},
                    never = shared.connector.follow_host_keys(&session) => match never {},
                }
            };
            // Nobody would learn of its end.
            if AssertUnwindSafe(watched).catch_unwind().await.is_err() {
                session.give_up("the watch over it ended abruptly");
            }
            session
        });
    }

    fn failed(&mut self, error: ConnectError) {
        let (class, lacked_a_person) = (error.class(), error.lacked_a_person());
        let failure = Failure { class, lacked_a_person, text: error.to_string() };
        self.shared.log.attempt_failed(attempt_end(class), failure.first_line());
        self.handle(Event::Failed(failure));
        let facts = self.facts(&self.sessions());
        let next_attempt = self.policy.wake_at(&facts);
        if let Some(at) = next_attempt {
            let wait = (at - facts.now).as_secs_f32();
            debug!(%error, "connecting failed: next attempt in {wait:.1} s");
        } else {
            debug!(%error, "connecting failed: next attempt when one is wanted");
        }
        {
            let mut status = lock(&self.shared.status);
            status.failures = self.policy.failures();
            status.next_attempt = next_attempt;
        }
        if let Some(first) = self.first.take() {
            // If the receiver is gone, the pool is about to end.
            let _ = first.send(Err(error));
        }
    }

    /// Closes a session that nothing needs any more. One that has ended by itself is about to be found lost, and
    /// where what was sent last may still be on its way, the next upkeep closes it.
    fn close(&mut self, session: &Arc<Session>) {
        if session.is_closed() {
            return;
        }
        if !session.load().is_delivered() {
            session.health().request_gauge();
            return;
        }
        self.forget(session, SessionEnd::Retired, "nobody needs it any more");
        let session = Arc::clone(session);
        self.closing.spawn(async move { session.disconnect().await });
    }

    /// A session has ended. One that was closed here is forgotten by then.
    fn lost(&mut self, session: &Arc<Session>) {
        if !self.sessions().iter().any(|s| Arc::ptr_eq(s, session)) {
            return;
        }
        let end = session.facts().end.unwrap_or_else(|| "the connection ended".to_owned());
        self.forget(session, SessionEnd::Lost, &end);
        lock(&self.shared.status).last_loss = Some((Instant::now(), end.clone()));
        let cause = if session.idle() >= UNUSED && !session.is_cut() {
            LossCause::Unused
        } else {
            LossCause::Lost
        };
        let (age, channels) = (session.age(), session.load().channels());
        self.handle(Event::Lost(Loss { end, age, channels, cause }));
    }

    fn forget(&self, session: &Arc<Session>, kind: SessionEnd, end: &str) {
        self.shared.log.session_down(session.id(), kind, end);
        // Together: no sum of bytes falls meanwhile.
        let mut sessions = lock(&self.shared.sessions);
        let mut status = lock(&self.shared.status);
        sessions.retain(|s| !Arc::ptr_eq(s, session));
        status.past.0 += session.load().sent();
        status.past.1 += session.load().received();
    }

    /// Records why there is no session, or one less.
    fn show(&self, outage: Outage) {
        let Outage { reason, outlook, cause } = outage;
        let is_news = {
            let mut status = lock(&self.shared.status);
            let is_another = status.outlook != outlook || status.reason != reason;
            status.reason = reason;
            status.outlook = outlook;
            is_another || cause == OutageCause::Happened
        };
        if outlook == Outlook::Hopeless {
            self.shared.gave_up.send_replace(());
        }
        // Whoever has another server to go to need not wait for this one.
        if is_news {
            self.shared.changed.notify_waiters();
        }
    }

    fn tell(&self, notice: &Notice) {
        let text = notice.about(self.shared.connector.name());
        if notice.is_warning() {
            warn!("{text}");
        } else {
            info!("{text}");
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.shared.sessions).clone()
    }

    fn facts(&self, sessions: &[Arc<Session>]) -> Facts {
        let of = |session: &Arc<Session>| SessionFacts {
            // One that has just ended takes none, and is about to be told of as lost.
            is_ready: session.is_ready(),
            is_empty: session.is_empty(),
            is_quiet: placement::is_quiet(&super::view(session)),
            idle: session.idle(),
            is_outdated: self.shared.connector.would_replace(session),
            is_flooded: session.health().is_flooded(),
        };
        Facts {
            now: Instant::now(),
            sessions: sessions.iter().map(of).collect(),
            waiting: self.shared.requests.load(Relaxed),
            listeners: self.shared.listeners.load(Relaxed),
            can_ask: self.shared.connector.can_ask(),
        }
    }

    async fn end(mut self) {
        self.attempts.shutdown().await;
        self.settling.shutdown().await;
        for session in std::mem::take(&mut *lock(&self.shared.sessions)) {
            self.closing.spawn(async move { session.disconnect().await });
        }
        self.closing.join_all().await;
        self.watchers.shutdown().await;
        self.shared.connector.ended().await;
        self.shared.route.leave();
    }
}

fn attempt_end(class: FailureClass) -> AttemptEnd {
    match class {
        FailureClass::Unreachable | FailureClass::TurnedAway => AttemptEnd::Unreachable,
        FailureClass::Refused => AttemptEnd::Refused,
    }
}

/// How often the sessions are looked at.
const UPKEEP: Duration = Duration::from_secs(1);
/// The shortest time after which a server closes what is unused (`UnusedConnectionTimeout` of sshd).
const UNUSED: Duration = Duration::from_secs(1);
/// A server that has not answered for so long after a login is not waited for.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
