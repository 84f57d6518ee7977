//! How long what is sent on a session now takes to be answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::atomic_time::{AtomicDuration, Clock};
use crate::lock::lock;

/// What the questions to a server have shown. The server answers them in the order in which they
/// come, after all that it has to send by then.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    clock: Clock,
    best: AtomicDuration,
    /// The best of all sessions to the server.
    server_best: AtomicDuration,
    last: AtomicDuration,
    /// When the question was asked that is not answered.
    asked: AtomicDuration,
    /// Whether there was an answer since the last look.
    is_fresh: AtomicBool,
    longer: Mutex<Longer>,
}

/// Answers in a row that took much longer than the best, while nobody sent or received much.
#[derive(Debug, Default)]
struct Longer {
    answers: u32,
    shortest: Duration,
}

impl Delay {
    pub(crate) fn asked(&self) {
        self.asked.set(self.clock.now());
    }

    /// It was answered, after such a time.
    pub(crate) fn answered(&self, took: Duration) {
        self.asked.clear();
        self.note(took);
    }

    pub(crate) fn note(&self, took: Duration) {
        self.last.set(took);
        self.best.shorten(took);
        self.is_fresh.store(true, Relaxed);
    }

    /// Nobody has sent or received much to or from the server for a while. Where the answers take longer all the
    /// same, the way there has become longer, and the shortest round trip of now is returned.
    pub(crate) fn settle(&self) -> Option<Duration> {
        // That of the server may be of a session that has ended since.
        let (base, last) = (self.base()?, self.last()?);
        if !self.is_fresh.swap(false, Relaxed) {
            return None;
        }
        let mut longer = lock(&self.longer);
        if last <= base * 3 / 2 + WAVERING {
            *longer = Longer::default();
            return None;
        }
        let shortest = if longer.answers == 0 { last } else { longer.shortest.min(last) };
        *longer = Longer { answers: longer.answers + 1, shortest };
        if longer.answers < ENOUGH {
            return None;
        }
        *longer = Longer::default();
        self.best.set(shortest);
        Some(shortest)
    }

    /// Whether the way may have become longer: it is to be asked at once again, since a radio that was asleep answers
    /// late, too.
    pub(crate) fn is_settling(&self) -> bool {
        lock(&self.longer).answers > 0
    }

    /// Somebody sends or receives much: what answers take now is the queue, too.
    pub(crate) fn unsettle(&self) {
        self.is_fresh.store(false, Relaxed);
        *lock(&self.longer) = Longer::default();
    }

    /// The shortest round trip, where one was measured.
    pub(crate) fn best(&self) -> Option<Duration> {
        self.best.get()
    }

    /// Takes note of the shortest round trip of all sessions to the server.
    pub(crate) fn note_server_best(&self, best: Option<Duration>) {
        match best {
            Some(best) => self.server_best.set(best),
            None => self.server_best.clear(),
        }
    }

    /// The shortest round trip to the server, on whatever session, where one was measured. A session that began
    /// on a full line knows no short one by itself.
    pub(crate) fn base(&self) -> Option<Duration> {
        self.best().into_iter().chain(self.server_best.get()).min()
    }

    /// The last round trip, where one was measured.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last.get()
    }

    /// How long the question that is not answered has waited.
    pub(crate) fn waiting(&self) -> Duration {
        self.asked.get().map_or(Duration::ZERO, |asked| self.clock.now().saturating_sub(asked))
    }

    /// How long an answer takes now, as far as it is known: at least as long as one is overdue.
    pub(crate) fn expected(&self) -> Duration {
        self.last().unwrap_or_default().max(self.waiting())
    }

    /// By how much that is more than it has to be.
    pub(crate) fn excess(&self) -> Duration {
        self.expected().saturating_sub(self.best().unwrap_or_default())
    }
}

/// The longest round trip of a local network, which is as fast as its ends.
pub(crate) const LAN: Duration = Duration::from_millis(4);
/// By how much an answer may be late without there being a queue, besides half.
pub(crate) const WAVERING: Duration = Duration::from_millis(20);
/// After so many answers, one in a beat, the way is taken to be longer.
const ENOUGH: u32 = 5;

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

    #[test]
    fn a_way_that_has_become_longer_is_believed_where_nothing_is_queued() {
        let answer = |delay: &Delay, millis| {
            delay.note(Duration::from_millis(millis));
            delay.settle()
        };
        let delay = Delay::default();
        assert_eq!(answer(&delay, 20), None);
        for _ in 1..ENOUGH {
            assert_eq!(answer(&delay, 110), None);
            assert_eq!(delay.settle(), None, "one answer counts once");
            assert!(delay.is_settling());
        }
        // Somebody downloads.
        delay.unsettle();
        assert_eq!(answer(&delay, 100), None);
        for _ in 2..ENOUGH {
            assert_eq!(answer(&delay, 110), None);
        }
        assert_eq!(answer(&delay, 120), Some(Duration::from_millis(100)));
        assert_eq!(delay.best(), Some(Duration::from_millis(100)));
        // A late answer now and then is none.
        for _ in 0..2 * ENOUGH {
            assert_eq!((answer(&delay, 300), answer(&delay, 110)), (None, None));
            assert!(!delay.is_settling());
        }
    }

    #[test]
    fn a_way_that_was_shorter_for_earlier_sessions_only_is_forgotten() {
        let delay = Delay::default();
        delay.note_server_best(Some(Duration::from_millis(20)));
        for _ in 1..ENOUGH {
            delay.note(Duration::from_millis(100));
            assert_eq!(delay.settle(), None);
        }
        delay.note(Duration::from_millis(100));
        assert_eq!(delay.settle(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_session_that_began_late_knows_the_best_of_the_others() {
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
