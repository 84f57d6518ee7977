//! The delay before the next attempt to connect.

use std::time::Duration;

use crate::ssh::connect::FailureClass;

/// Exponential backoff with jitter above a floor: each delay is uniformly distributed between the floor and a
/// bound that doubles. The first delay is random, too: the server may have dropped many clients at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    last: Option<FailureClass>,
}

/// Whether a request waits for the next session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Requests wait.
    Waiting,
    /// Nobody does.
    None,
}

impl Backoff {
    /// Resets the backoff after a session was opened.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The delay after another failure of something that no request waits for.
    pub(crate) fn next_in_background(&mut self) -> Duration {
        self.next(FailureClass::Unreachable, Demand::None)
    }

    /// Whether the last attempt was refused.
    pub(super) fn was_refused(&self) -> bool {
        self.last == Some(FailureClass::Refused)
    }

    /// Whether a request may shorten the delay.
    pub(super) fn may_hurry(&self) -> bool {
        self.last == Some(FailureClass::Unreachable)
    }

    /// The delay after another failure.
    pub(super) fn next(&mut self, class: FailureClass, demand: Demand) -> Duration {
        let longest = match (class, demand) {
            (FailureClass::Unreachable, Demand::Waiting) => LONGEST_WANTED,
            (FailureClass::TurnedAway, Demand::Waiting) => LONGEST_TURNED_AWAY,
            (FailureClass::Refused, Demand::Waiting) | (_, Demand::None) => LONGEST,
        };
        self.failures += 1;
        self.last = Some(class);
        let least = match class {
            FailureClass::Unreachable => FIRST,
            FailureClass::TurnedAway | FailureClass::Refused => LEAST_REFUSED,
        };
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        let bound = doubled.max(2 * least).min(longest);
        least + bound.saturating_sub(least).mul_f64(fastrand::f64())
    }
}

/// The default floor; the bound is at least twice the floor.
const FIRST: Duration = Duration::from_millis(200);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest delay while requests wait and the server is unreachable.
const LONGEST_WANTED: Duration = Duration::from_secs(2);
/// The longest delay while requests wait and the server turned the client away, perhaps because it is full.
const LONGEST_TURNED_AWAY: Duration = Duration::from_secs(4);
/// The floor after the server turned the client away or refused the login.
const LEAST_REFUSED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_delay_is_random() {
        for class in [FailureClass::Unreachable, FailureClass::TurnedAway, FailureClass::Refused] {
            let first = || Backoff::default().next(class, Demand::Waiting);
            assert!((0..50).any(|_| first() != first()), "{class:?}");
        }
    }

    #[test]
    fn delays_grow_within_their_bounds() {
        for _ in 0..50 {
            let mut backoff = Backoff::default();
            for failure in 0..40 {
                let wait = backoff.next(FailureClass::Unreachable, Demand::None);
                let bound = FIRST.saturating_mul(2 << failure.min(16)).min(LONGEST);
                assert!((FIRST..=bound).contains(&wait), "{failure}: {wait:?}");
            }
            let wait = backoff.next(FailureClass::Unreachable, Demand::Waiting);
            assert!(wait <= LONGEST_WANTED);
            assert!(backoff.next(FailureClass::TurnedAway, Demand::Waiting) <= LONGEST_TURNED_AWAY);
            backoff.reset();
            assert!(backoff.next(FailureClass::Unreachable, Demand::None) <= 2 * FIRST);
            assert!(backoff.next(FailureClass::Refused, Demand::Waiting) >= LEAST_REFUSED);
        }
    }
}
