//! The life of a pool whose clock and server the test controls.

use super::*;

mod properties;

/// A pool whose attempts and sessions are mere numbers.
struct World {
    policy: Policy,
    facts: Facts,
    attempts: usize,
    notices: Vec<Notice>,
    shown: Vec<Outage>,
}

const QUIET: SessionFacts = SessionFacts {
    is_ready: true,
    is_empty: true,
    is_quiet: true,
    idle: Duration::ZERO,
    is_outdated: false,
    is_flooded: false,
};

/// A session that carries a download.
const BUSY: SessionFacts = SessionFacts { is_empty: false, is_quiet: false, ..QUIET };

impl World {
    fn new(size: Option<PoolSize>) -> Self {
        let facts = Facts {
            now: Instant::now(),
            sessions: Vec::new(),
            waiting: 0,
            listeners: 0,
            can_ask: false,
        };
        let policy = Policy::new(size, facts.now);
        Self { policy, facts, attempts: 0, notices: Vec::new(), shown: Vec::new() }
    }

    /// A pool that has its first session.
    fn connected(kind: LoginKind) -> Self {
        let mut world = Self::new(None);
        world.on(Event::Time);
        world.succeed(kind);
        world.on(Event::Settled);
        world
    }

    fn on(&mut self, event: Event) {
        let actions = self.policy.on(event, &self.facts);
        let mut closed = Vec::new();
        for action in actions {
            match action {
                Action::Connect(_) => self.attempts += 1,
                Action::Drain(place, _) => {
                    self.facts.sessions[place].is_ready = false;
                }
                Action::Close(place) => closed.push(place),
                Action::AbortAttempts | Action::ProbeAll | Action::AskAll => {}
                Action::Show(outage) => self.shown.push(outage),
                Action::Log(notice) => self.notices.push(notice),
            }
        }
        for place in closed.into_iter().rev() {
            self.facts.sessions.remove(place);
        }
    }

    fn succeed(&mut self, kind: LoginKind) {
        self.attempts -= 1;
        self.facts.sessions.push(QUIET);
        self.on(Event::Connected(kind));
    }

    fn fail(&mut self, class: FailureClass, text: &str) {
        self.attempts -= 1;
        self.on(Event::Failed(Failure { class, lacked_person: false, text: text.into() }));
    }

    fn lose(&mut self, cause: LossCause, age: Duration) {
        self.facts.sessions.pop();
        self.on(Event::Lost(Loss { end: "gone".into(), age, channels: 0, cause }));
    }

    fn pass(&mut self, time: Duration) {
        self.facts.now += time;
        self.on(Event::Time);
    }
}

#[test]
fn a_lost_session_is_logged_and_replaced_at_once() {
    let mut world = World::connected(LoginKind::Unattended);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    assert_eq!(world.attempts, 1);
    assert_eq!(world.notices, [Notice::Lost { end: "gone".into(), cut: 0 }]);
    assert_eq!(world.shown[0].outlook, Outlook::Soon, "another session is being opened");
    world.succeed(LoginKind::Unattended);
    assert_eq!(world.notices[1], Notice::Connected { again: true });
}

#[test]
fn failures_are_logged_once_and_delays_grow() {
    let mut world = World::connected(LoginKind::Unattended);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    let mut waited = Duration::ZERO;
    for _ in 0..50 {
        world.fail(FailureClass::Unreachable, "no route\nmore");
        assert_eq!(world.attempts, 0, "not at once");
        let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
        let pause = wake_at - world.facts.now;
        assert!(pause <= Duration::from_secs(30));
        waited += pause;
        world.pass(pause);
        assert_eq!(world.attempts, 1);
    }
    assert!(waited > Duration::from_secs(60), "the delays have grown");
    let logged = world.notices.iter().filter(|n| matches!(n, Notice::CannotConnect(_)));
    assert_eq!(logged.count(), 1);
    assert_eq!(world.shown.last().expect("shown").reason, "no route");
}

#[test]
fn an_attempt_that_ends_abruptly_is_not_retried_at_once() {
    let mut world = World::new(None);
    world.on(Event::Time);
    world.attempts -= 1;
    world.on(Event::Abandoned);
    assert_eq!(world.attempts, 0);
    let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
    world.pass(wake_at - world.facts.now);
    assert_eq!(world.attempts, 1);
}

/// A lost session, a login that needs a person, and retirement are no failed attempts; nor is a failure while
/// another session exists.
#[test]
fn only_failed_attempts_without_a_session_are_counted() {
    let mut world = World::new(Some(PoolSize::new(2, 3).expect("a size")));
    world.on(Event::Time);
    world.fail(FailureClass::Unreachable, "no route");
    assert_eq!(world.policy.failures(), 1);
    world.pass(Duration::from_secs(60));
    world.succeed(LoginKind::Interactive);
    world.on(Event::Settled);
    world.facts.waiting = 1;
    world.facts.can_ask = true;
    world.on(Event::Wanted);
    world.fail(FailureClass::Refused, "no");
    assert_eq!(world.shown.last().expect("shown").outlook, Outlook::Hopeless);
    world.facts.can_ask = false;
    world.lose(LossCause::Lost, Duration::from_secs(60));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.shown.last().expect("shown").reason, NOBODY_TO_ASK);
    world.on(Event::Retired);
    assert_eq!(world.policy.failures(), 1);
}

#[test]
fn a_remote_listener_retries_a_refused_first_login() {
    for (listeners, attempts) in [(0, 0), (1, 1)] {
        let mut world = World::new(None);
        world.on(Event::Time);
        world.fail(FailureClass::Refused, "no");
        world.facts.listeners = listeners;
        world.pass(Duration::from_secs(600));
        assert_eq!(world.attempts, attempts);
    }
}

#[test]
fn every_waiter_learns_that_nobody_can_be_asked_and_the_log_says_so_once() {
    let mut world = World::connected(LoginKind::Interactive);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    world.facts.waiting = 1;
    for _ in 0..3 {
        world.shown.clear();
        world.on(Event::Wanted);
        assert_eq!(world.shown.last().expect("shown").outlook, Outlook::Hopeless);
    }
    let logged = world.notices.iter().filter(|n| matches!(n, Notice::NeedsPerson(_)));
    assert_eq!(logged.count(), 1);
}

#[test]
fn a_session_lost_after_retirement_is_logged_and_changes_no_reason() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions = vec![BUSY];
    world.on(Event::Retired);
    assert_eq!(world.facts.sessions.len(), 1, "the busy session continues");
    let shown = world.shown.len();
    world.lose(LossCause::Lost, Duration::from_secs(60));
    assert_eq!(world.notices, [Notice::Lost { end: "gone".into(), cut: 0 }]);
    assert_eq!((world.shown.len(), world.attempts), (shown, 0));
}

#[test]
fn a_request_shortens_the_delay_only_if_the_server_was_unreachable() {
    for (class, hurries) in [(FailureClass::Unreachable, true), (FailureClass::Refused, false)] {
        let mut world = World::connected(LoginKind::Unattended);
        world.lose(LossCause::Lost, Duration::from_secs(60));
        for _ in 0..20 {
            world.fail(class, "no");
            let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
            world.pass(wake_at - world.facts.now);
        }
        // Fails until the delay is long enough to be shortened.
        while world.policy.wake_at(&world.facts).is_none_or(|at| at - world.facts.now < 2 * SOON) {
            world.fail(class, "no");
            if let Some(at) = world.policy.wake_at(&world.facts)
                && at - world.facts.now < 2 * SOON
            {
                world.pass(at - world.facts.now);
            }
        }
        world.facts.waiting = 1;
        world.on(Event::Wanted);
        let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
        assert_eq!(wake_at - world.facts.now <= SOON, hurries, "{class:?}");
    }
}

#[test]
fn a_server_that_closes_unused_sessions_gets_none_without_a_request() {
    let mut world = World::connected(LoginKind::Unattended);
    for _ in 1..MAX_UNUSED {
        world.lose(LossCause::Unused, Duration::from_secs(2));
        assert_eq!(world.attempts, 1, "once may be chance");
        world.succeed(LoginKind::Unattended);
        world.on(Event::Settled);
    }
    world.lose(LossCause::Unused, Duration::from_secs(2));
    assert_eq!(world.attempts, 0);
    world.pass(Duration::from_secs(600));
    world.on(Event::Upkeep);
    assert_eq!(world.attempts, 0);
    for _ in 0..5 {
        world.facts.waiting = 1;
        world.on(Event::Wanted);
        assert_eq!(world.attempts, 1, "a request waits");
        world.succeed(LoginKind::Unattended);
        world.on(Event::Settled);
        world.facts.waiting = 0;
        world.facts.sessions = vec![BUSY];
        world.on(Event::Upkeep);
        assert_eq!(world.attempts, 0, "not even a reserve");
        world.lose(LossCause::Unused, Duration::from_secs(4));
    }
    let lines: Vec<_> = world.notices.iter().filter(|n| **n == Notice::ClosesUnused).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(world.notices.last(), Some(&Notice::ClosesUnused), "nothing is logged after that");
}

#[test]
fn a_login_that_needs_a_person_waits_for_a_request_and_a_person() {
    let mut world = World::connected(LoginKind::Interactive);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    assert_eq!(world.attempts, 0);
    world.facts.waiting = 1;
    world.on(Event::Wanted);
    assert_eq!(world.attempts, 0, "nobody can be asked");
    assert_eq!(world.shown.last().expect("shown").outlook, Outlook::Hopeless);
    world.facts.can_ask = true;
    world.on(Event::Wanted);
    assert_eq!(world.attempts, 1);
}

#[test]
fn an_interactive_session_survives_a_network_that_returns_late_after_sleep() {
    for (kind, look) in
        [(LoginKind::Unattended, Action::ProbeAll), (LoginKind::Interactive, Action::AskAll)]
    {
        let mut world = World::connected(kind);
        let actions = world.policy.on(Event::Woken, &world.facts);
        assert_eq!(actions, [Action::Log(Notice::Woken), look]);
    }
}

#[test]
fn a_refused_further_session_is_logged_once_and_retried_rarely() {
    let mut world = World::connected(LoginKind::Unattended);
    let mut asked = 0;
    for _ in 0..24 * 60 {
        world.on(Event::Wanted);
        if world.attempts == 1 {
            asked += 1;
            world.fail(FailureClass::TurnedAway, "too many");
        }
        world.pass(Duration::from_secs(60));
    }
    assert!((5..=30).contains(&asked), "{asked} times in a day");
    assert_eq!(world.notices, [Notice::NoFurther("too many".into())]);
}

#[test]
fn spare_sessions_are_closed_after_a_while() {
    let mut world = World::connected(LoginKind::Unattended);
    let used = SessionFacts { is_empty: false, ..QUIET };
    for (in_use, left) in [(used, 1), (BUSY, 2)] {
        let idle = SessionFacts { idle: Duration::from_secs(3600), ..QUIET };
        world.facts.sessions = vec![idle, idle, in_use];
        world.on(Event::Upkeep);
        assert_eq!(world.facts.sessions.len(), left);
        assert_eq!(world.facts.sessions.last(), Some(&in_use));
    }
}

#[test]
fn a_reserve_is_opened_once_and_kept_while_it_is_needed() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions[0] = BUSY;
    world.on(Event::Upkeep);
    assert_eq!(world.attempts, 1);
    world.succeed(LoginKind::Unattended);
    world.on(Event::Settled);
    let tick = |world: &mut World| {
        world.facts.sessions.iter_mut().filter(|s| s.is_empty).for_each(|s| s.idle += SECOND);
        world.pass(SECOND);
        world.on(Event::Upkeep);
    };
    for _ in 0..600 {
        tick(&mut world);
        assert_eq!((world.facts.ready(), world.attempts), (2, 0));
    }
    world.facts.sessions[0] = QUIET;
    tick(&mut world);
    assert_eq!((world.facts.ready(), world.attempts), (1, 0), "the idle session is closed");
}

#[test]
fn an_outdated_session_is_drained_only_after_its_replacement_is_ready() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions[0].is_outdated = true;
    world.on(Event::Upkeep);
    assert_eq!((world.facts.ready(), world.attempts), (1, 1));
    world.succeed(LoginKind::Unattended);
    world.on(Event::Upkeep);
    assert_eq!(world.facts.sessions.len(), 1);
    assert!(!world.facts.sessions[0].is_outdated);
}

#[test]
fn an_unneeded_replacement_does_not_exceed_the_maximum() {
    let mut world = World::connected(LoginKind::Unattended);
    world.policy.size = Some(PoolSize::single());
    world.facts.sessions[0].is_outdated = true;
    world.on(Event::Upkeep);
    world.succeed(LoginKind::Unattended);
    world.facts.sessions[0].is_outdated = false;
    world.on(Event::Upkeep);
    assert_eq!((world.facts.sessions.len(), world.attempts), (1, 0));
}

#[test]
fn only_the_outdated_session_of_several_is_replaced() {
    let mut world = World::connected(LoginKind::Unattended);
    world.policy.size = Some(PoolSize::new(2, 2).expect("a size"));
    world.on(Event::Time);
    world.succeed(LoginKind::Unattended);
    world.facts.sessions = vec![BUSY, SessionFacts { is_outdated: true, ..QUIET }];
    world.on(Event::Upkeep);
    world.succeed(LoginKind::Unattended);
    world.on(Event::Upkeep);
    assert_eq!((&world.facts.sessions[..], world.attempts), (&[BUSY, QUIET][..], 0));
}

#[test]
fn a_flooded_session_is_closed_once_there_is_another() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions[0].is_flooded = true;
    world.on(Event::Upkeep);
    assert_eq!((world.facts.sessions.len(), world.attempts), (1, 1), "not before");
    world.succeed(LoginKind::Unattended);
    world.facts.sessions[0].is_empty = false;
    world.on(Event::Upkeep);
    assert_eq!(world.facts.sessions.len(), 2, "it is in use");
    world.facts.sessions[0].is_empty = true;
    world.on(Event::Upkeep);
    assert_eq!(world.facts.sessions, [QUIET]);
}

const SECOND: Duration = Duration::from_secs(1);
