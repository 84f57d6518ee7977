//! A pool's life, with the clock and the server in the test's hands.

use super::*;

mod properties;

/// A pool whose attempts and sessions are numbers.
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

/// One that carries a download.
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

    /// One that has its first session.
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
                Action::Tell(notice) => self.notices.push(notice),
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
        self.on(Event::Failed(Failure { class, lacked_a_person: false, text: text.into() }));
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
fn a_lost_session_is_replaced_at_once_and_told() {
    let mut world = World::connected(LoginKind::Unattended);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    assert_eq!(world.attempts, 1);
    assert_eq!(world.notices, [Notice::Lost { end: "gone".into(), cut: 0 }]);
    assert_eq!(world.shown[0].outlook, Outlook::Soon, "another is on its way");
    world.succeed(LoginKind::Unattended);
    assert_eq!(world.notices[1], Notice::Connected { again: true });
}

#[test]
fn failures_are_told_once_and_pauses_grow() {
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
    assert!(waited > Duration::from_secs(60), "the pauses have grown");
    let told = world.notices.iter().filter(|n| matches!(n, Notice::CannotConnect(_)));
    assert_eq!(told.count(), 1);
    assert_eq!(world.shown.last().expect("shown").reason, "no route");
}

#[test]
fn an_attempt_that_ends_abruptly_is_not_made_again_at_once() {
    let mut world = World::new(None);
    world.on(Event::Time);
    world.attempts -= 1;
    world.on(Event::Abandoned);
    assert_eq!(world.attempts, 0);
    let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
    world.pass(wake_at - world.facts.now);
    assert_eq!(world.attempts, 1);
}

/// A loss, a login without a person and the end of the server are no failed attempts, and one that fails beside a
/// session leaves nobody without.
#[test]
fn only_attempts_that_fail_where_there_is_no_session_are_counted() {
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
fn a_remote_listener_is_worth_another_try_where_the_first_login_was_refused() {
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
fn each_that_waits_hears_that_there_is_nobody_to_ask_and_the_user_once() {
    let mut world = World::connected(LoginKind::Interactive);
    world.lose(LossCause::Lost, Duration::from_secs(60));
    world.facts.waiting = 1;
    for _ in 0..3 {
        world.shown.clear();
        world.on(Event::Wanted);
        assert_eq!(world.shown.last().expect("shown").outlook, Outlook::Hopeless);
    }
    let told = world.notices.iter().filter(|n| matches!(n, Notice::NeedsPerson(_)));
    assert_eq!(told.count(), 1);
}

#[test]
fn what_is_cut_after_the_end_is_told_and_no_reason_for_it() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions = vec![BUSY];
    world.on(Event::Retired);
    assert_eq!(world.facts.sessions.len(), 1, "it goes on");
    let shown = world.shown.len();
    world.lose(LossCause::Lost, Duration::from_secs(60));
    assert_eq!(world.notices, [Notice::Lost { end: "gone".into(), cut: 0 }]);
    assert_eq!((world.shown.len(), world.attempts), (shown, 0));
}

#[test]
fn a_request_cuts_a_pause_short_where_the_server_was_only_out_of_reach() {
    for (class, hurries) in [(FailureClass::Unreachable, true), (FailureClass::Refused, false)] {
        let mut world = World::connected(LoginKind::Unattended);
        world.lose(LossCause::Lost, Duration::from_secs(60));
        for _ in 0..20 {
            world.fail(class, "no");
            let wake_at = world.policy.wake_at(&world.facts).expect("it will try again");
            world.pass(wake_at - world.facts.now);
        }
        // As long a pause as there is.
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
fn a_server_that_closes_what_is_unused_is_let_be_until_somebody_asks() {
    let mut world = World::connected(LoginKind::Unattended);
    for _ in 1..MAX_UNUSED {
        world.lose(LossCause::Unused, Duration::from_secs(2));
        assert_eq!(world.attempts, 1, "it may be chance");
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
        assert_eq!(world.attempts, 1, "somebody asks");
        world.succeed(LoginKind::Unattended);
        world.on(Event::Settled);
        world.facts.waiting = 0;
        world.facts.sessions = vec![BUSY];
        world.on(Event::Upkeep);
        assert_eq!(world.attempts, 0, "no reserve, either");
        world.lose(LossCause::Unused, Duration::from_secs(4));
    }
    let lines: Vec<_> = world.notices.iter().filter(|n| **n == Notice::ClosesUnused).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(world.notices.last(), Some(&Notice::ClosesUnused), "nothing is told after that");
}

#[test]
fn a_login_that_needs_a_person_waits_for_a_request_and_somebody_to_ask() {
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
fn a_session_that_somebody_has_to_log_in_for_outlives_a_network_that_is_late_after_a_sleep() {
    for (kind, look) in
        [(LoginKind::Unattended, Action::ProbeAll), (LoginKind::Interactive, Action::AskAll)]
    {
        let mut world = World::connected(kind);
        let actions = world.policy.on(Event::Woken, &world.facts);
        assert_eq!(actions, [Action::Tell(Notice::Woken), look]);
    }
}

#[test]
fn a_server_that_refuses_a_further_session_is_told_of_once_and_asked_again_rarely() {
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
fn what_is_spare_and_empty_for_long_is_closed() {
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
fn a_reserve_is_opened_once_and_stays_while_it_is_one() {
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
    assert_eq!((world.facts.ready(), world.attempts), (1, 0), "the idle one goes");
}

#[test]
fn an_outdated_session_is_drained_only_when_there_is_another() {
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
fn a_replacement_that_is_not_needed_any_more_is_not_one_too_many() {
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
fn of_several_sessions_the_outdated_one_is_replaced() {
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
fn a_flooded_session_goes_once_there_is_another() {
    let mut world = World::connected(LoginKind::Unattended);
    world.facts.sessions[0].is_flooded = true;
    world.on(Event::Upkeep);
    assert_eq!((world.facts.sessions.len(), world.attempts), (1, 1), "not before");
    world.succeed(LoginKind::Unattended);
    world.facts.sessions[0].is_empty = false;
    world.on(Event::Upkeep);
    assert_eq!(world.facts.sessions.len(), 2, "somebody is on it");
    world.facts.sessions[0].is_empty = true;
    world.on(Event::Upkeep);
    assert_eq!(world.facts.sessions, [QUIET]);
}

const SECOND: Duration = Duration::from_secs(1);
