//! How long what is sent on a session now takes to be answered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What the questions to a server have shown. The server answers them in the order in which they
/// come, after all that it has to send by then.
#[derive(Debug)]
pub(crate) struct Delay {
    begun: Instant,
    // All in microseconds; 0 before the first.
    best: AtomicU64,
    last: AtomicU64,
    /// When the question was asked that is not answered, since `begun`.
    asked: AtomicU64,
}

impl Delay {
    /// A question is on its way.
    pub(crate) fn asked(&self) {
        self.asked.store(self.now(), Relaxed);
    }

    /// It was answered, after such a time.
    pub(crate) fn answered(&self, took: Duration) {
        self.asked.store(0, Relaxed);
        self.note(took);
    }

    /// Takes note of a round trip.
    pub(crate) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.last.store(micros, Relaxed);
        let best = self.best.load(Relaxed);
        if best == 0 || micros < best {
            self.best.store(micros, Relaxed);
        }
    }

    /// The shortest round trip, where one was measured.
    pub(crate) fn best(&self) -> Option<Duration> {
        time(&self.best)
    }

    /// The last round trip, where one was measured.
    pub(crate) fn last(&self) -> Option<Duration> {
        time(&self.last)
    }

    /// How long the question that is not answered has waited.
    pub(crate) fn waiting(&self) -> Duration {
        time(&self.asked).map_or(Duration::ZERO, |asked| self.begun.elapsed().saturating_sub(asked))
    }

    /// How long an answer takes now, as far as it is known: at least as long as one is overdue.
    pub(crate) fn expected(&self) -> Duration {
        self.last().unwrap_or_default().max(self.waiting())
    }

    /// By how much that is more than it has to be.
    pub(crate) fn excess(&self) -> Duration {
        self.expected().saturating_sub(self.best().unwrap_or_default())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

/// The longest round trip of a local network, which is as fast as its ends.
pub(crate) const LAN: Duration = Duration::from_millis(4);

fn time(micros: &AtomicU64) -> Option<Duration> {
    Some(micros.load(Relaxed)).filter(|&micros| micros > 0).map(Duration::from_micros)
}

impl Default for Delay {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { begun: Instant::now(), best: zero(), last: zero(), asked: zero() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_counts_from_when_it_is_overdue() {
        let delay = Delay::default();
        assert_eq!((delay.best(), delay.expected()), (None, Duration::ZERO));
        delay.note(Duration::from_millis(50));
        delay.asked();
        assert_eq!(delay.expected(), Duration::from_millis(50));
        tokio::time::advance(Duration::from_millis(60)).await;
        // What is asked at the very beginning counts as asked a microsecond later.
        assert_eq!(delay.expected(), Duration::from_micros(59_999));
        assert_eq!(delay.excess(), Duration::from_micros(9_999));
        delay.answered(Duration::from_millis(70));
        delay.answered(Duration::from_millis(60));
        assert_eq!(delay.best(), Some(Duration::from_millis(50)));
        assert_eq!(delay.excess(), Duration::from_millis(10));
        assert_eq!(delay.waiting(), Duration::ZERO);
    }
}
