//! Channels that a server opens unsolicited: they are refused, counted and occasionally logged.

use std::time::{Duration, Instant};

use tracing::warn;

/// The count for a session.
#[derive(Debug, Default)]
pub(crate) struct Unsolicited {
    count: u32,
    logged: Option<Instant>,
}

/// The server opened too many such channels, which ends the session: refusing them is wasted work for both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has opened {0} channels that nobody asked for")]
pub(crate) struct TooMany(u32);

impl Unsolicited {
    /// Counts a channel that is being refused. Logged at once, and then at most every ten seconds.
    pub(crate) fn count(&mut self, kind: &'static str) -> Result<(), TooMany> {
        self.count += 1;
        if self.logged.is_none_or(|logged| logged.elapsed() >= PAUSE) {
            self.logged = Some(Instant::now());
            warn!(kind, count = self.count, "refused a channel that the server opened unasked");
        }
        if self.count < LIMIT { Ok(()) } else { Err(TooMany(self.count)) }
    }
}

/// The number of channels at which the session ends. Well-behaved servers open none.
const LIMIT: u32 = 1000;
/// The minimum interval between log messages.
const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_ends_at_the_limit() {
        let mut unsolicited = Unsolicited::default();
        for _ in 1..LIMIT {
            unsolicited.count("session").expect("not too many yet");
        }
        assert_eq!(unsolicited.count("x11"), Err(TooMany(LIMIT)));
        let logged = unsolicited.logged.expect("logged at once");
        assert!(logged.elapsed() < PAUSE, "and not again soon");
    }
}
