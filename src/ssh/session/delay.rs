//! How long an answer from the server takes now.

use std::sync::Mutex;
use std::time::Duration;

use super::atomic_time::{AtomicDuration, Clock};
use super::recent::{Recent, Traffic};
use crate::lock::lock;

/// The results of pings to a server. The server answers them in order, after everything that it has queued to
/// send by then.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    clock: Clock,
    best: AtomicDuration,
    /// The shortest round trip of all sessions to the server.
    server_best: AtomicDuration,
    last: AtomicDuration,
    /// When the unanswered ping was sent.
    asked: AtomicDuration,
    recent: Mutex<Recent>,
}

impl Delay {
    pub(crate) fn asked(&self) {
        self.asked.set(self.clock.now());
    }

    /// Records that the ping was answered after `took`.
    pub(crate) fn answered(&self, took: Duration) {
        self.asked.clear();
        self.note(took);
    }

    pub(crate) fn note(&self, took: Duration) {
        self.last.set(took);
        self.best.shorten(took);
        lock(&self.recent).add(took);
    }

    /// Takes note of the traffic to the server since the last call. Returns the shortest round trip of the last
    /// minutes, from time to time; it replaces a much shorter one, which the path no longer has.
    pub(crate) fn attribute(&self, traffic: Traffic) -> Option<Duration> {
        let recent = lock(&self.recent).attribute(traffic)?;
        if self.best().is_some_and(|best| is_queued(recent, best)) {
            self.best.set(recent);
        }
        Some(recent)
    }

    /// The shortest round trip of this session, once one was measured.
    pub(crate) fn best(&self) -> Option<Duration> {
        self.best.get()
    }

    /// Records the shortest round trip of all sessions to the server.
    pub(crate) fn note_server_best(&self, best: Option<Duration>) {
        match best {
            Some(best) => self.server_best.set(best),
            None => self.server_best.clear(),
        }
    }

    /// The shortest round trip to the server on any session, once one was measured. A session that began on a
    /// congested line has measured no short one itself.
    pub(crate) fn base(&self) -> Option<Duration> {
        self.best().into_iter().chain(self.server_best.get()).min()
    }

    /// The last round trip, once one was measured.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last.get()
    }

    /// How long the unanswered ping has been pending.
    pub(crate) fn waiting(&self) -> Duration {
        self.asked.get().map_or(Duration::ZERO, |asked| self.clock.now().saturating_sub(asked))
    }

    /// The expected round trip now: the last one, or the age of a pending ping if that is longer.
    pub(crate) fn expected(&self) -> Duration {
        self.last().unwrap_or_default().max(self.waiting())
    }

    /// The excess of the expected round trip over the shortest.
    pub(crate) fn excess(&self) -> Duration {
        self.expected().saturating_sub(self.best().unwrap_or_default())
    }
}

/// Whether a round trip exceeds the shortest one by more than varies without a queue.
pub(crate) fn is_queued(round_trip: Duration, best: Duration) -> bool {
    round_trip > best * 3 / 2 + WAVERING
}

/// The variation of round trips without a queue, besides half of the shortest.
pub(crate) const WAVERING: Duration = Duration::from_millis(20);

/// The longest round trip of a LAN, where the hosts are the bottleneck.
pub(crate) const LAN: Duration = Duration::from_millis(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pending_ping_counts_once_it_is_overdue() {
        let delay = Delay::default();
        assert_eq!((delay.best(), delay.expected()), (None, Duration::ZERO));
        delay.note(Duration::from_millis(50));
        delay.asked();
        assert_eq!(delay.expected(), Duration::from_millis(50));
        tokio::time::advance(Duration::from_millis(60)).await;
        // A ping sent at the very beginning counts as sent a microsecond later.
        assert_eq!(delay.expected(), Duration::from_micros(59_999));
        assert_eq!(delay.excess(), Duration::from_micros(9_999));
        delay.answered(Duration::from_millis(70));
        delay.answered(Duration::from_millis(60));
        assert_eq!(delay.best(), Some(Duration::from_millis(50)));
        assert_eq!(delay.excess(), Duration::from_millis(10));
        assert_eq!(delay.waiting(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_has_become_longer_is_noticed() {
        for (now, best) in [(150, 150), (60, 30), (20, 20)] {
            let delay = Delay::default();
            delay.note(Duration::from_millis(30));
            // The first minutes contain the short one.
            for result in [30.min(now), now] {
                for traffic in [Traffic::None, Traffic::Some] {
                    (0..8).for_each(|_| delay.answered(Duration::from_millis(now)));
                    assert_eq!(delay.attribute(traffic), None);
                }
                tokio::time::advance(Duration::from_secs(180)).await;
                let result = Some(Duration::from_millis(result));
                assert_eq!(delay.attribute(Traffic::None), result);
            }
            assert_eq!(delay.best(), Some(Duration::from_millis(best)), "{now} ms");
        }
    }

    #[test]
    fn a_later_session_knows_the_shortest_round_trip_of_the_others() {
        let delay = Delay::default();
        assert_eq!(delay.base(), None);
        delay.note(Duration::from_millis(70));
        assert_eq!(delay.base(), Some(Duration::from_millis(70)));
        delay.note_server_best(Some(Duration::from_millis(11)));
        assert_eq!(
            (delay.base(), delay.best()),
            (Some(Duration::from_millis(11)), Some(Duration::from_millis(70)))
        );
        delay.note_server_best(None);
        assert_eq!(delay.base(), Some(Duration::from_millis(70)));
    }
}
