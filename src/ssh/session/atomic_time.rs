//! Durations and clocks shared between tasks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// A duration with a resolution of one microsecond; none until it is first set.
#[derive(Debug, Default)]
pub(crate) struct AtomicDuration(AtomicU64);

/// A clock that starts when it is created.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl AtomicDuration {
    pub(crate) fn get(&self) -> Option<Duration> {
        Some(self.0.load(Relaxed)).filter(|&micros| micros > 0).map(Duration::from_micros)
    }

    pub(crate) fn set(&self, time: Duration) {
        self.0.store(micros(time).max(1), Relaxed);
    }

    /// Sets a shorter duration, or the first one.
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
    /// The time since the start, at least a microsecond.
    pub(super) fn now(&self) -> Duration {
        self.0.elapsed().max(Duration::from_micros(1))
    }

    /// The instant at which the clock shows `time`.
    pub(super) fn at(&self, time: Duration) -> Instant {
        self.0 + time
    }

    /// The time that the clock showed at an instant.
    pub(super) fn shown(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.0)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// A duration in whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
