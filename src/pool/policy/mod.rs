//! Decides when a pool connects, retries, grows and shrinks: a pure state machine from events to actions, which
//! tests can drive with any facts at any time.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Backoff, Demand};
use super::logged::{Logged, is_news};
use super::size::PoolSize;
use crate::ssh::connect::{Asking, FailureClass};
use crate::ssh::trust::auth::LoginKind;

mod event;
#[cfg(test)]
mod tests;
mod upkeep;

pub(super) use event::{
    Action, DrainReason, Event, Facts, Failure, Loss, LossCause, Notice, Outage, OutageCause,
    Outlook, SessionFacts,
};

/// The state of the policy.
#[derive(Debug)]
pub(super) struct Policy {
    /// The size as configured, or as the first login allows.
    size: Option<PoolSize>,
    /// Whether the first attempt has ended.
    first_has_ended: bool,
    /// The kind of the last login; none before the first success.
    login_kind: Option<LoginKind>,
    /// Whether the last attempt failed because it needed a person.
    lacked_person: bool,
    /// Attempts under way.
    attempts: usize,
    /// Finished attempts that the server still counts as handshakes.
    settling: usize,
    backoff: Backoff,
    /// Consecutive failed attempts without a session.
    failures: usize,
    /// The earliest time of the next attempt.
    not_before: Instant,
    /// The earliest time for a further session, after the server refused one.
    growth_not_before: Instant,
    growth_backoff: Duration,
    /// Consecutive sessions that the server closed while they were unused.
    unused: u32,
    logged: Logged,
    /// Whether no new sessions are opened, and the existing ones end after their last channel.
    is_retired: bool,
}

impl Policy {
    /// A policy at `now`, without a session.
    pub(super) fn new(size: Option<PoolSize>, now: Instant) -> Self {
        Self {
            size,
            first_has_ended: false,
            login_kind: None,
            lacked_person: false,
            attempts: 0,
            settling: 0,
            backoff: Backoff::default(),
            failures: 0,
            not_before: now,
            growth_not_before: now,
            growth_backoff: GROWTH_BACKOFF,
            unused: 0,
            logged: Logged::default(),
            is_retired: false,
        }
    }

    /// Returns the actions for an event, in order.
    pub(super) fn on(&mut self, event: Event, facts: &Facts) -> Vec<Action> {
        let mut actions = match event {
            Event::Time => Vec::new(),
            Event::Wanted => self.grow(facts),
            Event::Connected(kind) => self.connected(kind, facts),
            Event::Failed(failure) => self.failed(failure, facts),
            Event::Abandoned => {
                self.attempts -= 1;
                // Whatever ended it abruptly may do so each time.
                self.not_before =
                    facts.now + self.backoff.next(FailureClass::TurnedAway, demand(facts));
                Vec::new()
            }
            Event::Settled => {
                self.settling -= 1;
                Vec::new()
            }
            Event::Lost(loss) => self.lost(loss, facts),
            Event::Upkeep => self.upkeep(facts),
            Event::Woken => {
                // The network may take longer to return than a probe waits. Another session is worth that only
                // if it costs nobody another password.
                let look = match self.login_kind {
                    Some(LoginKind::Interactive) => Action::AskAll,
                    Some(LoginKind::Unattended) | None => Action::ProbeAll,
                };
                vec![Action::Log(Notice::Woken), look]
            }
            Event::Retired => self.retire(facts),
        };
        actions.extend(self.connect_if_needed(facts));
        actions
    }

    /// When the next [`Event::Time`] is due, if at all.
    pub(super) fn wake_at(&self, facts: &Facts) -> Option<Instant> {
        (self.missing(facts) > 0 && facts.now < self.not_before).then_some(self.not_before)
    }

    /// Whether the pool is retired and its last session has ended.
    pub(super) fn is_over(&self, facts: &Facts) -> bool {
        self.is_retired() && facts.sessions.is_empty()
    }

    /// Whether the pool is retired.
    pub(super) fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// The number of failed attempts without a session.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Opens missing sessions as soon as allowed.
    fn connect_if_needed(&mut self, facts: &Facts) -> Vec<Action> {
        let missing = self.missing(facts);
        if missing == 0 || facts.now < self.not_before {
            return Vec::new();
        }
        if !self.may_try(facts) {
            return self.wait_for_a_person(facts);
        }
        let room = MAX_ATTEMPTS.saturating_sub(self.handshakes());
        (0..missing.min(room)).map(|_| self.attempt(facts)).collect()
    }

    /// The handshakes in progress as the server counts them: it confirms a login before it removes the
    /// handshake from its list.
    fn handshakes(&self) -> usize {
        self.attempts + self.settling
    }

    /// The number of sessions missing to the minimum and not being opened. The first one is opened alone.
    fn missing(&self, facts: &Facts) -> usize {
        if self.is_retired() {
            return 0;
        }
        let wanted = if self.login_kind.is_some() { self.size().min() } else { 1 };
        wanted.saturating_sub(facts.ready() + self.attempts)
    }

    /// The bounds of the pool, once they are known.
    pub(super) fn known_size(&self) -> Option<PoolSize> {
        self.size
    }

    fn size(&self) -> PoolSize {
        self.size.unwrap_or_default()
    }

    /// Whether an attempt may be made. A login that needs a person requires a request and a person who can be
    /// asked. A refused login that never succeeded requires a request or a remote listener, as does a server
    /// that closes unused sessions.
    fn may_try(&self, facts: &Facts) -> bool {
        if self.closes_unused() && !is_wanted(facts) {
            return false;
        }
        match self.login_kind {
            // The agent may answer again when the next request comes.
            Some(LoginKind::Unattended) => !self.lacked_person || is_wanted(facts),
            Some(LoginKind::Interactive) => is_wanted(facts) && facts.can_ask,
            None => is_wanted(facts) || !self.backoff.was_refused(),
        }
    }

    /// Whether the server closes unused sessions, so that none is opened without a request.
    fn closes_unused(&self) -> bool {
        self.unused >= MAX_UNUSED
    }

    /// Tells each waiter that there is no session because the login needs a person; logs it once.
    fn wait_for_a_person(&mut self, facts: &Facts) -> Vec<Action> {
        if self.login_kind != Some(LoginKind::Interactive) || facts.ready() > 0 {
            return Vec::new();
        }
        let state = if facts.can_ask { WAITS_FOR_A_PERSON } else { NOBODY_TO_ASK };
        let outage = Outage {
            reason: state.to_owned(),
            outlook: by_person(facts),
            cause: OutageCause::Lasts,
        };
        let is_logged = !is_news(&mut self.logged.person, state);
        let notice = (!is_logged).then_some(Action::Log(Notice::NeedsPerson(state)));
        notice.into_iter().chain([Action::Show(outage)]).collect()
    }

    /// Opens another session in the background if the limits allow it.
    fn grow(&mut self, facts: &Facts) -> Vec<Action> {
        let ready = facts.ready();
        let room = ready + self.attempts < self.size().max() && self.may_grow(facts);
        // `connect_if_needed` opens the first session.
        if ready == 0 || !room || self.attempts > 0 {
            if ready == 0 && demand(facts) == Demand::Waiting {
                self.hurry(facts);
            }
            return Vec::new();
        }
        if facts.now >= self.growth_not_before && self.handshakes() < MAX_ATTEMPTS {
            return vec![self.attempt(facts)];
        }
        Vec::new()
    }

    /// Whether another session is being opened, or may be opened on demand.
    pub(super) fn may_get_another(&self, facts: &Facts) -> bool {
        let room = facts.ready() < self.size().max() && self.may_grow(facts);
        let may = room && facts.now >= self.growth_not_before;
        !self.is_retired() && (self.attempts > 0 || may)
    }

    /// Whether the pool may grow: a login that needs a person is not tried if nobody can be asked.
    fn may_grow(&self, facts: &Facts) -> bool {
        self.login_kind != Some(LoginKind::Interactive) || facts.can_ask
    }

    /// Retries an unreachable server soon, since a request waits.
    fn hurry(&mut self, facts: &Facts) {
        let soon = facts.now + SOON;
        if self.backoff.may_hurry() && self.not_before > soon {
            self.not_before = soon;
        }
    }

    fn attempt(&mut self, facts: &Facts) -> Action {
        self.attempts += 1;
        // A person is asked only if the user configured more sessions than such a login gets by default.
        let by_person = self.login_kind == Some(LoginKind::Interactive);
        let worth_asking = !self.first_has_ended || is_wanted(facts) || by_person;
        Action::Connect(if worth_asking { Asking::Allowed } else { Asking::Never })
    }

    fn connected(&mut self, kind: LoginKind, facts: &Facts) -> Vec<Action> {
        self.attempts -= 1;
        self.settling += 1;
        let is_first = !std::mem::replace(&mut self.first_has_ended, true);
        // The new session is among the facts.
        let news = !is_first && facts.ready() <= 1;
        let again = self.login_kind.is_some();
        // A server that closes unused sessions is not reported for each of them.
        let is_quiet = self.logged.closes_unused && again;
        self.logged.session = None;
        self.logged.person = None;
        self.lacked_person = false;
        self.login_kind = Some(kind);
        self.size.get_or_insert(match kind {
            LoginKind::Unattended => PoolSize::default(),
            LoginKind::Interactive => PoolSize::single(),
        });
        self.growth_not_before = facts.now;
        self.growth_backoff = GROWTH_BACKOFF;
        if news && !is_quiet { vec![Action::Log(Notice::Connected { again })] } else { Vec::new() }
    }

    fn failed(&mut self, failure: Failure, facts: &Facts) -> Vec<Action> {
        self.attempts -= 1;
        let is_first = !std::mem::replace(&mut self.first_has_ended, true);
        if facts.ready() >= self.size().min() {
            return self.not_grown(failure, facts);
        }
        self.failures += usize::from(facts.ready() == 0);
        self.lacked_person = failure.lacked_person;
        self.not_before = facts.now + self.backoff.next(failure.class, demand(facts));
        let reason = failure.first_line().to_owned();
        let mut actions = vec![Action::Show(Outage::happened(reason, Outlook::Hopeless))];
        // The first failure is reported by the receiver of the first attempt.
        if is_news(&mut self.logged.session, &failure.text) && !is_first {
            actions.push(Action::Log(Notice::CannotConnect(failure.text)));
        }
        actions
    }

    /// Handles the failure to open a further session; the existing ones suffice.
    fn not_grown(&mut self, failure: Failure, facts: &Facts) -> Vec<Action> {
        if failure.class == FailureClass::Unreachable {
            // The network failed, not the server.
            self.growth_not_before = facts.now + UNREACHABLE;
            return Vec::new();
        }
        // The server may allow no more sessions.
        self.growth_not_before = facts.now + self.growth_backoff;
        self.growth_backoff = (self.growth_backoff * 2).min(GROWTH_BACKOFF_MAX);
        if is_news(&mut self.logged.growth, &failure.text) {
            vec![Action::Log(Notice::NoFurther(failure.text))]
        } else {
            Vec::new()
        }
    }

    /// Handles the end of a session, which is replaced at once.
    fn lost(&mut self, loss: Loss, facts: &Facts) -> Vec<Action> {
        match loss.cause {
            LossCause::Unused if loss.age < LONG_UNUSED && is_idle(facts) => self.unused += 1,
            LossCause::Unused | LossCause::Lost => {
                self.unused = 0;
                self.logged.closes_unused = false;
            }
        }
        if loss.age < SHORT_LIVED {
            // A server that disconnects right after the login is not retried at once.
            let class = FailureClass::Unreachable;
            self.not_before = facts.now + self.backoff.next(class, demand(facts));
        } else {
            self.backoff.reset();
            self.not_before = facts.now;
        }
        let outlook = match self.login_kind {
            Some(LoginKind::Interactive) => by_person(facts),
            Some(LoginKind::Unattended) | None => Outlook::Soon,
        };
        let shown = Action::Show(Outage::happened(loss.end.clone(), outlook));
        // A retired pool has shown its reason already.
        let shown = (!self.is_retired).then_some(shown);
        self.notice_of(loss).map(Action::Log).into_iter().chain(shown).collect()
    }

    /// The notice of a loss; a server that closes unused sessions is reported once.
    fn notice_of(&mut self, loss: Loss) -> Option<Notice> {
        let Loss { end, channels, .. } = loss;
        if !self.closes_unused() {
            return Some(Notice::Lost { end, cut: channels });
        }
        let is_logged = std::mem::replace(&mut self.logged.closes_unused, true);
        (!is_logged).then_some(Notice::ClosesUnused)
    }
}

fn demand(facts: &Facts) -> Demand {
    if facts.waiting > 0 { Demand::Waiting } else { Demand::None }
}

/// The prospects if a login needs a person.
fn by_person(facts: &Facts) -> Outlook {
    if facts.can_ask { Outlook::NeedsPerson } else { Outlook::Hopeless }
}

/// Whether a person may be asked: a request or a remote listener waits for a session.
fn is_wanted(facts: &Facts) -> bool {
    facts.waiting > 0 || facts.listeners > 0
}

/// Whether all sessions are empty and nothing waits for one.
fn is_idle(facts: &Facts) -> bool {
    !is_wanted(facts) && facts.sessions.iter().all(|session| session.is_empty)
}

/// Concurrent handshakes to one server; more may exceed sshd's MaxStartups or PerSourcePenalties.
const MAX_ATTEMPTS: usize = 2;
/// How long the pool does not grow after the server was unreachable.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// The age of a lost session below which its replacement is delayed.
const SHORT_LIVED: Duration = Duration::from_millis(500);
/// How soon an unreachable server is retried when a request comes.
const SOON: Duration = Duration::from_millis(500);
/// How long the pool does not grow after the server refused a further session; doubled each time.
const GROWTH_BACKOFF: Duration = Duration::from_secs(60);
/// The maximum of that delay.
const GROWTH_BACKOFF_MAX: Duration = Duration::from_secs(3600);
/// Consecutive sessions closed by the server while unused (sshd's `UnusedConnectionTimeout`) after which none
/// is opened without a request.
const MAX_UNUSED: u32 = 3;
/// The age from which an unused session does not count as closed by such a timeout.
const LONG_UNUSED: Duration = Duration::from_secs(3600);
/// The state of a server whose login waits for a request.
const WAITS_FOR_A_PERSON: &str =
    "the login needs a person, who is asked when the next request comes";
/// As [`WAITS_FOR_A_PERSON`], if nobody can be asked.
const NOBODY_TO_ASK: &str = "the login needs a person, and nobody can be asked";
