//! Invariants that hold under any sequence of events.

use proptest::prelude::*;

use super::*;

/// Something that may happen to a pool at any time.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Upkeep,
    Want(bool),
    Succeed,
    Fail(u8),
    Settle,
    Lose(bool),
    Wear,
    Work(bool),
    Retire,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..40_000_u64).prop_map(Step::Pass),
        Just(Step::Upkeep),
        any::<bool>().prop_map(Step::Want),
        Just(Step::Succeed),
        Just(Step::Succeed),
        (0..3_u8).prop_map(Step::Fail),
        Just(Step::Settle),
        any::<bool>().prop_map(Step::Lose),
        Just(Step::Wear),
        any::<bool>().prop_map(Step::Work),
        prop::bool::weighted(0.02).prop_map(|r| if r { Step::Retire } else { Step::Upkeep }),
    ]
}

impl World {
    fn step(&mut self, step: Step, settling: &mut usize) {
        match step {
            Step::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Step::Upkeep => self.on(Event::Upkeep),
            Step::Want(wanted) => {
                self.facts.waiting = usize::from(wanted);
                self.on(Event::Wanted);
            }
            Step::Succeed if self.attempts > 0 && !self.policy.is_retired() => {
                *settling += 1;
                self.succeed(LoginKind::Unattended);
            }
            Step::Fail(class) if self.attempts > 0 => {
                let classes =
                    [FailureClass::Unreachable, FailureClass::TurnedAway, FailureClass::Refused];
                self.fail(classes[usize::from(class)], "no");
            }
            Step::Settle if *settling > 0 => {
                *settling -= 1;
                self.on(Event::Settled);
            }
            Step::Lose(unused) if !self.facts.sessions.is_empty() => {
                let cause = if unused { LossCause::Unused } else { LossCause::Lost };
                self.lose(cause, Duration::from_secs(1));
            }
            Step::Wear => self.facts.sessions.iter_mut().for_each(|s| s.is_outdated = true),
            Step::Work(busy) => self.facts.sessions.iter_mut().for_each(|s| s.is_quiet = !busy),
            Step::Retire => self.on(Event::Retired),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn the_bounds_hold_under_any_sequence_of_events(
        steps in prop::collection::vec(any_step(), 1..200), min in 1..3_usize, more in 0..3_usize,
    ) {
        let size = PoolSize::new(min, min + more).expect("a size");
        let mut world = World::new(Some(size));
        world.on(Event::Time);
        let mut settling = 0;
        for step in steps {
            let (ready, was_retired) = (world.facts.ready(), world.policy.is_retired());
            let attempts = world.attempts;
            world.step(step, &mut settling);
            prop_assert!(world.attempts <= MAX_ATTEMPTS, "{} at a time", world.attempts);
            // One session above the maximum is allowed while another is being replaced.
            prop_assert!(world.facts.ready() + world.attempts <= size.max() + 1);
            if matches!(step, Step::Upkeep) {
                prop_assert!(world.facts.ready() <= size.max(), "one too many remains");
            }
            if was_retired {
                prop_assert!(world.attempts <= attempts, "an attempt after retirement");
            }
            let kept = !matches!(step, Step::Lose(_) | Step::Retire) && !was_retired;
            if kept && ready >= size.min() {
                prop_assert!(world.facts.ready() >= size.min(), "fewer than the minimum are left");
            }
        }
    }

    #[test]
    fn waiting_requests_are_eventually_served(steps in prop::collection::vec(any_step(), 1..100)) {
        let mut world = World::new(None);
        world.on(Event::Time);
        let mut settling = 0;
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Retire)) {
            world.step(step, &mut settling);
        }
        world.facts.waiting = 1;
        world.on(Event::Wanted);
        for _ in 0..100 {
            if world.facts.ready() > 0 {
                break;
            }
            world.pass(Duration::from_secs(1));
            for step in [Step::Succeed, Step::Settle, Step::Settle] {
                world.step(step, &mut settling);
            }
        }
        prop_assert!(world.facts.ready() > 0, "an attempt within the longest delay");
    }
}
