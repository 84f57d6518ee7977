//! Times that tasks share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// A time that is set now and then, to a microsecond; none before the first.
#[derive(Debug, Default)]
pub(crate) struct AtomicDuration(AtomicU64);

/// Counts the time from when it was made.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl AtomicDuration {
    pub(crate) fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|&micros| micros > 0).map(Duration::from_micros)
    }

    pub(crate) fn set(&self, time: Duration) {
        self.0.store(micros(time).max(1), Relaxed);
    }

    /// Takes a time that is shorter, or the first.
    pub(crate) fn shorten(&self, time: Duration) {
        let new = micros(time).max(1);
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |micros| (micros == 0 || new < micros).then_some(new));
    }

    pub(crate) fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

impl Clock {
    /// The time now, at least a microsecond.
    pub(super) fn now(&self) -> Duration {
        self.0.elapsed().max(Duration::from_micros(1))
    }

    /// When the clock shows this.
    pub(super) fn at(&self, time: Duration) -> Instant {
        self.0 + time
    }

    /// What the clock showed then.
    pub(super) fn shown(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.0)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// A time in microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
