//! The task that maintains a pool: it feeds events to the policy and carries out its actions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::first::{FirstSession, OutcomeSender};
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
    /// The receiver of the first attempt's outcome, until there is one.
    first: Option<OutcomeSender>,
    liveness: Liveness,
    /// Attempts to connect.
    attempts: JoinSet<Result<Connected, ConnectError>>,
    /// A task for each new session, which ends when the server no longer counts it as a handshake.
    settling: JoinSet<()>,
    /// Tasks that monitor the sessions; each ends with its session.
    watchers: JoinSet<Arc<Session>>,
    /// Disconnections in progress.
    closing: JoinSet<()>,
    /// The duration of the last successful attempt.
    took: Option<Duration>,
}

impl Driver {
    /// A driver without a session; `first` receives the outcome of the first attempt.
    pub(super) fn new(shared: Arc<Shared>, size: Option<PoolSize>, first: OutcomeSender) -> Self {
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

    /// Passes an event to the policy, and carries out its actions.
    fn handle(&mut self, event: Event) {
        let sessions = self.sessions();
        let facts = self.facts(&sessions);
        for action in self.policy.on(event, &facts) {
            self.act(action, &sessions);
        }
    }

    /// Carries out an action; `sessions` are in the order of the facts.
    fn act(&mut self, action: Action, sessions: &[Arc<Session>]) {
        match action {
            Action::Connect(asking) => self.connect(asking),
            Action::AbortAttempts => self.attempts.abort_all(),
            Action::Drain(place, reason) => {
                debug!("{reason}");
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
                    session.health().request_measurement();
                }
            }
            Action::Show(outage) => self.show(outage),
            Action::Log(notice) => self.log(&notice),
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
            // The attempt was aborted, or finished just before that.
            Ok(Ok(_)) | Err(_) => self.handle(Event::Abandoned),
        }
    }

    fn connected(&mut self, connected: Connected) {
        debug!(took_ms = connected.took.as_millis(), "another session is ready");
        self.took = Some(connected.took);
        let (kind, details) = (connected.login.kind, FirstSession::of(&connected));
        self.shared.log.session_up(connected.session.id(), connected.took);
        self.adopt(connected.session);
        self.handle(Event::Connected(kind));
        lock(&self.shared.status).size = self.policy.known_size();
        self.shared.changed.notify_waiters();
        if let Some(first) = self.first.take() {
            // The receiver may be gone.
            let _ = first.send(Ok(details));
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
            // After a panic in the monitor, nothing else would notice the end of the session.
            if AssertUnwindSafe(watched).catch_unwind().await.is_err() {
                session.give_up("the watch over it ended abruptly");
            }
            session
        });
    }

    fn failed(&mut self, error: ConnectError) {
        let (class, lacked_person) = (error.class(), error.lacked_person());
        let failure = Failure { class, lacked_person, text: error.to_string() };
        self.shared.log.attempt_failed(attempt_end(class), failure.first_line());
        self.handle(Event::Failed(failure));
        let facts = self.facts(&self.sessions());
        let next_attempt = self.policy.wake_at(&facts);
        if let Some(at) = next_attempt {
            let wait = (at - facts.now).as_secs_f32();
            debug!(%error, "connecting failed: next attempt in {wait:.1} s");
        } else {
            debug!(%error, "connecting failed: next attempt when a session is needed");
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

    /// Closes an unneeded session. One that has ended is about to be reported as lost instead, and one whose
    /// last data may still be in transit is closed by a later upkeep.
    fn close(&mut self, session: &Arc<Session>) {
        if session.is_closed() {
            return;
        }
        if !session.load().is_delivered() {
            session.health().request_measurement();
            return;
        }
        self.forget(session, SessionEnd::Retired, "it is no longer needed");
        let session = Arc::clone(session);
        self.closing.spawn(async move { session.disconnect().await });
    }

    /// Handles the end of a session; one that was closed deliberately has been removed by then.
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
        // Both locks are held, so that the sums of bytes never decrease.
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
        // Requests that can use another server stop waiting for this one.
        if is_news {
            self.shared.changed.notify_waiters();
        }
    }

    fn log(&self, notice: &Notice) {
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
            // A session that has just ended takes no channels, and is about to be reported as lost.
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

/// The interval of the upkeep.
const UPKEEP: Duration = Duration::from_secs(1);
/// The shortest time after which a server closes an unused connection (sshd's `UnusedConnectionTimeout`).
const UNUSED: Duration = Duration::from_secs(1);
/// How long to wait for the server's first answer after a login.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
