//! The task that keeps a pool: opens sessions, replaces lost ones, closes those that are not needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::first::{FirstSession, Tell};
use super::monitor;
use super::pace::{Backoff, Demand};
use super::placement::Growth;
use super::told::{Told, is_news};
use super::wake::WakeDetector;
use super::{PoolSize, Shared, lock};
use crate::registry::{AttemptEnd, SessionEnd};
use crate::ssh::connect::FailureClass;
use crate::ssh::connect::Liveness;
use crate::ssh::connect::{Asking, ConnectError, Connected};
use crate::ssh::session::Session;
use crate::ssh::trust::auth::LoginKind;

mod upkeep;

/// What the driver keeps for itself.
pub(super) struct Driver {
    shared: Arc<Shared>,
    /// As asked for, or as the first login allows.
    size: Option<PoolSize>,
    /// Until the first attempt is over.
    first: Option<Tell>,
    /// None before a login has succeeded.
    login_kind: Option<LoginKind>,
    /// Whether the last attempt failed because it needed a person.
    lacked_a_person: bool,
    liveness: Liveness,
    /// Attempts to connect.
    attempts: JoinSet<Result<Connected, ConnectError>>,
    /// One for each new session: ends when the server no longer counts it as a handshake.
    settling: JoinSet<()>,
    /// Tasks that watch the sessions; each ends with its session.
    watchers: JoinSet<Arc<Session>>,
    backoff: Backoff,
    /// No attempt before this.
    not_before: Instant,
    /// No attempt to grow before this: the server has refused one.
    growth_not_before: Instant,
    growth_backoff: Duration,
    told: Told,
    /// No more sessions, and those there are end with what they carry.
    is_retired: bool,
}

/// Whether a session may be had soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    Good,
    Bad,
}

impl Driver {
    /// Begins without a session; what comes of the first attempt is told to `first`.
    pub(super) fn new(shared: Arc<Shared>, size: Option<PoolSize>, first: Tell) -> Self {
        Self {
            liveness: shared.connector.liveness(),
            login_kind: None,
            lacked_a_person: false,
            shared,
            size,
            first: Some(first),
            attempts: JoinSet::new(),
            settling: JoinSet::new(),
            watchers: JoinSet::new(),
            backoff: Backoff::default(),
            not_before: Instant::now(),
            growth_not_before: Instant::now(),
            growth_backoff: GROWTH_BACKOFF,
            told: Told::default(),
            is_retired: false,
        }
    }

    /// Runs until the pool is shut down.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut upkeep = interval(UPKEEP);
        let mut wake = WakeDetector::new();
        loop {
            if self.is_retired && lock(&shared.sessions).is_empty() {
                break;
            }
            self.connect_if_needed();
            tokio::select! {
                () = shared.stop.cancelled() => break,
                () = shared.retired.cancelled(), if !self.is_retired => self.retire(),
                () = shared.wanted.notified() => self.grow(),
                Some(attempt) = self.attempts.join_next() => match attempt {
                    Ok(Ok(connected)) => self.connected(connected),
                    Ok(Err(error)) => self.failed(error),
                    Err(aborted) if aborted.is_cancelled() => {}
                    Err(panicked) => warn!("an attempt to connect ended abruptly: {panicked}"),
                },
                Some(_) = self.settling.join_next() => {}
                Some(Ok(session)) = self.watchers.join_next() => self.lost(&session),
                _ = upkeep.tick() => {
                    if wake.has_woken() {
                        self.probe_all();
                    }
                    self.upkeep();
                    if self.shared.reserve() == Growth::Wanted {
                        self.grow();
                    }
                }
                () = sleep_until(self.not_before), if self.is_waiting_to_retry() => {}
            }
        }
        self.end().await;
    }

    /// Opens what is missing, as soon as it may.
    fn connect_if_needed(&mut self) {
        let missing = self.missing();
        if missing == 0 || Instant::now() < self.not_before {
            return;
        }
        if !self.may_try() {
            return self.wait_for_a_person();
        }
        for _ in 0..missing.min(MAX_ATTEMPTS.saturating_sub(self.handshakes())) {
            self.attempt();
        }
    }

    /// Handshakes under way, as the server counts them: it says that we are in before it strikes us
    /// off its list.
    fn handshakes(&self) -> usize {
        self.attempts.len() + self.settling.len()
    }

    /// Sessions that should be there, and are not even on their way. The first comes alone.
    fn missing(&self) -> usize {
        if self.is_retired {
            return 0;
        }
        let wanted = if self.login_kind.is_some() { self.size().min() } else { 1 };
        wanted.saturating_sub(self.ready() + self.attempts.len())
    }

    fn size(&self) -> PoolSize {
        self.size.unwrap_or_default()
    }

    /// A login that needs a person is tried again when it is wanted and somebody is there;
    /// one that has never succeeded and was refused, when there is a request.
    fn may_try(&self) -> bool {
        match self.login_kind {
            // What an agent did before, it may do again when the next request comes.
            Some(LoginKind::Unattended) => !self.lacked_a_person || self.is_wanted(),
            Some(LoginKind::Interactive) => self.is_wanted() && self.shared.connector.can_ask(),
            None => self.demand() == Demand::Waiting || !self.backoff.was_refused(),
        }
    }

    /// Says, once, that there is no session because nobody has logged in.
    fn wait_for_a_person(&mut self) {
        if self.login_kind != Some(LoginKind::Interactive) || self.ready() > 0 {
            return;
        }
        let (state, prospect) = if self.shared.connector.can_ask() {
            (WAITS_FOR_A_PERSON, Prospect::Good)
        } else {
            (NOBODY_TO_ASK, Prospect::Bad)
        };
        if is_news(&mut self.told.person, state) {
            warn!("no session to {}: {state}", self.shared.connector.name());
            self.without_session(state.to_owned(), prospect);
        }
    }

    fn is_waiting_to_retry(&self) -> bool {
        self.missing() > 0 && Instant::now() < self.not_before
    }

    /// Opens another session in the background, if there may be one more.
    fn grow(&mut self) {
        let ready = self.ready();
        let room = ready + self.attempts.len() < self.size().max() && self.may_grow();
        // Without a session the request waits for what `connect_if_needed` does.
        if ready == 0 || !room || !self.attempts.is_empty() {
            if ready == 0 && self.demand() == Demand::Waiting {
                self.hurry();
            }
            return;
        }
        if Instant::now() >= self.growth_not_before && self.handshakes() < MAX_ATTEMPTS {
            debug!(sessions = ready, "another session would serve better");
            self.attempt();
        }
    }

    /// A login that needs a person is not tried where nobody can be asked.
    fn may_grow(&self) -> bool {
        self.login_kind != Some(LoginKind::Interactive) || self.shared.connector.can_ask()
    }

    /// Somebody waits: the server that was merely out of reach is tried again soon.
    fn hurry(&mut self) {
        let soon = Instant::now() + SOON;
        if self.backoff.may_hurry() && self.not_before > soon {
            self.not_before = soon;
        }
    }

    fn attempt(&mut self) {
        let shared = Arc::clone(&self.shared);
        // By a person only where more sessions were asked for than such a login gets by itself.
        let by_person = self.login_kind == Some(LoginKind::Interactive);
        let worth_asking = self.first.is_some() || self.is_wanted() || by_person;
        let asking = if worth_asking { Asking::Allowed } else { Asking::Never };
        self.attempts.spawn(async move { shared.connector.connect(asking).await });
    }

    fn connected(&mut self, connected: Connected) {
        if self.is_retired {
            // It was done just before it was given up.
            return;
        }
        debug!(took = ?connected.took, "another session is ready");
        let first = self.first.take();
        if first.is_none() && self.ready() == 0 {
            let again = if self.login_kind.is_some() { " again" } else { "" };
            info!("connected to {}{again}", self.shared.connector.name());
        }
        self.told.session = None;
        self.told.person = None;
        self.lacked_a_person = false;
        self.login_kind = Some(connected.login.kind);
        self.size.get_or_insert(match connected.login.kind {
            LoginKind::Unattended => PoolSize::default(),
            LoginKind::Interactive => PoolSize::single(),
        });
        self.growth_not_before = Instant::now();
        self.growth_backoff = GROWTH_BACKOFF;
        let told = FirstSession::of(&connected);
        lock(&self.shared.status).size = self.size;
        self.shared.log.session_up(connected.session.id(), connected.took);
        self.adopt(connected.session);
        if let Some(first) = first {
            // Nobody needs to wait for it.
            let _ = first.send(Ok(told));
        }
    }

    fn adopt(&mut self, session: Session) {
        let session = Arc::new(session);
        lock(&self.shared.sessions).push(Arc::clone(&session));
        {
            let mut status = lock(&self.shared.status);
            status.reason.clear();
            status.down = false;
            status.next_attempt = None;
        }
        let settling = Arc::clone(&session);
        self.settling.spawn(async move {
            let _ = timeout(SETTLED, settling.ping()).await;
        });
        let (shared, liveness) = (Arc::clone(&self.shared), self.liveness);
        self.watchers.spawn(async move {
            tokio::select! {
                () = monitor::watch(&session, liveness) => {}
                never = shared.connector.measure(&session) => match never {},
                never = shared.connector.follow_host_keys(&session) => match never {},
            }
            session
        });
        self.shared.changed.notify_waiters();
    }

    fn failed(&mut self, error: ConnectError) {
        self.shared.log.attempt_failed(attempt_end(error.class()), &first_line(&error.to_string()));
        let ready = self.ready();
        if ready >= self.size().min() && error.class() == FailureClass::Unreachable {
            // The network, rather than the server, did not want one more.
            self.growth_not_before = Instant::now() + UNREACHABLE;
            return;
        }
        if ready >= self.size().min() {
            // One more than it allows us, perhaps. What there is serves.
            let (server, error) = (self.shared.connector.name(), error.to_string());
            if is_news(&mut self.told.growth, &error) {
                info!("{server} gives no further session, and those there are serve on: {error}");
            }
            debug!(%error, wait = ?self.growth_backoff, "no further session");
            self.growth_not_before = Instant::now() + self.growth_backoff;
            self.growth_backoff = (self.growth_backoff * 2).min(GROWTH_BACKOFF_MAX);
            return;
        }
        self.lacked_a_person = error.lacked_a_person();
        let wait = self.backoff.next(error.class(), self.demand());
        self.not_before = Instant::now() + wait;
        let (server, text) = (self.shared.connector.name(), error.to_string());
        let news = is_news(&mut self.told.session, &text);
        debug!(error = %text, "no session: next attempt in {:.1} s", wait.as_secs_f32());
        lock(&self.shared.status).next_attempt = Some(self.not_before);
        // The first line says what is wrong; a client does not need the rest.
        self.without_session(first_line(&text), Prospect::Bad);
        match self.first.take() {
            // Whoever waits for it tells it; where nobody does, the pool is about to end.
            Some(first) => drop(first.send(Err(error))),
            None if news => warn!("cannot connect to {server}, will try again: {text}"),
            None => {}
        }
    }

    /// Notes why there is no session, or one less.
    fn without_session(&self, reason: String, prospect: Prospect) {
        let down = self.ready() == 0 && prospect == Prospect::Bad;
        {
            let mut status = lock(&self.shared.status);
            status.reason = reason;
            status.down = down;
            if prospect == Prospect::Bad {
                status.failures += 1;
            }
        }
        // Whoever has another server to go to need not wait for this one.
        self.shared.changed.notify_waiters();
    }

    /// A session has ended: what it carried is cut, and it is replaced at once.
    fn lost(&mut self, session: &Arc<Session>) {
        lock(&self.shared.sessions).retain(|s| !Arc::ptr_eq(s, session));
        let end = session.facts().end.unwrap_or_else(|| "the connection ended".to_owned());
        self.note_end(session, &end);
        if session.is_draining() {
            debug!(end, "a retired session has ended");
            return;
        }
        if session.age() < SHORT_LIVED {
            // A server that takes us in only to drop us is not asked again at once.
            self.not_before =
                Instant::now() + self.backoff.next(FailureClass::Unreachable, self.demand());
        } else {
            self.backoff.reset();
            self.not_before = Instant::now();
        }
        let server = self.shared.connector.name();
        match session.load().channels() {
            0 => warn!("lost a session to {server}: {end}"),
            cut => warn!("lost a session to {server}: {end}; connections cut: {cut}"),
        }
        let attended = self.login_kind == Some(LoginKind::Interactive);
        let hopeless = attended && !self.shared.connector.can_ask();
        self.without_session(end, if hopeless { Prospect::Bad } else { Prospect::Good });
    }

    fn note_end(&self, session: &Session, end: &str) {
        let lost = !session.is_draining();
        let kind = if lost { SessionEnd::Lost } else { SessionEnd::Retired };
        self.shared.log.session_down(session.id(), kind, end);
        let mut status = lock(&self.shared.status);
        status.past.0 += session.load().sent();
        status.past.1 += session.load().received();
        if lost {
            status.last_loss = Some((Instant::now(), end.to_owned()));
        }
    }

    fn ready(&self) -> usize {
        lock(&self.shared.sessions).iter().filter(|s| s.is_ready()).count()
    }

    fn demand(&self) -> Demand {
        match lock(&self.shared.status).waiting {
            0 => Demand::None,
            _ => Demand::Waiting,
        }
    }

    /// Whether a session is worth a question to a person: a request waits, or there is none for a listener
    /// on the server to be on.
    fn is_wanted(&self) -> bool {
        self.demand() == Demand::Waiting || lock(&self.shared.status).listeners > 0
    }

    async fn end(mut self) {
        self.attempts.shutdown().await;
        self.settling.shutdown().await;
        let sessions = std::mem::take(&mut *lock(&self.shared.sessions));
        let mut goodbyes = JoinSet::new();
        for session in sessions {
            goodbyes.spawn(async move { session.disconnect().await });
        }
        goodbyes.join_all().await;
        self.watchers.shutdown().await;
    }
}

/// What is told of a failure where there is room for a line.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn attempt_end(class: FailureClass) -> AttemptEnd {
    match class {
        FailureClass::Unreachable | FailureClass::TurnedAway => AttemptEnd::Unreachable,
        FailureClass::Refused => AttemptEnd::Refused,
    }
}

/// How often the sessions are looked at.
const UPKEEP: Duration = Duration::from_secs(1);
/// Handshakes to one server at the same time: sshd's MaxStartups and PerSourcePenalties punish more.
const MAX_ATTEMPTS: usize = 2;
/// How long to leave growth alone when the server cannot be reached.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// A session that ends sooner than this was not worth having.
const SHORT_LIVED: Duration = Duration::from_millis(500);
/// A server that has not answered for so long after a login is not waited for.
const SETTLED: Duration = Duration::from_secs(2);
/// How soon a server that was out of reach is tried again when a request comes.
const SOON: Duration = Duration::from_millis(500);
/// How long to leave a server alone that refused a further session; doubled each time.
const GROWTH_BACKOFF: Duration = Duration::from_secs(60);
/// The longest that gets.
const GROWTH_BACKOFF_MAX: Duration = Duration::from_secs(3600);
/// Of a server whose login is waited for.
const WAITS_FOR_A_PERSON: &str =
    "the login needs a person, who is asked when the next request comes";
/// The same, where that would be in vain.
const NOBODY_TO_ASK: &str = "the login needs a person, and nobody can be asked";
