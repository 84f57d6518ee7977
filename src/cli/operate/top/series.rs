//! The recent values of a figure.

use std::collections::VecDeque;

/// The recent values of a figure, one per second.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(VecDeque<u64>);

/// The traffic over a server, a session or a connection, and its round trip times.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Bytes per second to clients.
    pub(super) down: Series,
    /// Bytes per second from clients.
    pub(super) up: Series,
    /// Round trip times, in microseconds.
    pub(super) trip: Series,
}

impl Series {
    pub(super) fn push(&mut self, value: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The latest values, newest first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().rev().take(count).copied()
    }
}

impl History {
    pub(super) fn push(&mut self, down: u64, up: u64, trip: Option<f64>) {
        self.down.push(down);
        self.up.push(up);
        if let Some(trip) = trip {
            self.trip.push(micros(trip));
        }
    }
}

/// Converts milliseconds to microseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn micros(millis: f64) -> u64 {
    (millis * 1000.0) as u64
}

/// The number of values that are kept: more than a wide terminal shows.
const KEPT: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_values_are_kept() {
        let mut series = Series::default();
        (0..KEPT as u64 + 3).for_each(|value| series.push(value));
        assert_eq!(series.newest(2).collect::<Vec<_>>(), [KEPT as u64 + 2, KEPT as u64 + 1]);
        assert_eq!(series.newest(usize::MAX).last(), Some(3));
        let mut history = History::default();
        history.push(1, 2, Some(-1.0));
        history.push(1, 2, None);
        assert_eq!(history.trip.newest(9).collect::<Vec<_>>(), [0]);
    }
}
