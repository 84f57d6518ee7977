//! How long what is sent on a session now takes to be answered.

use std::time::Duration;

use super::atomic_time::{AtomicDuration, Clock};

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
