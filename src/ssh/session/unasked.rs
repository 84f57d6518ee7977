//! Channels that a server opens and that nobody asked for: refused, counted, and told of now and
//! then.

use std::time::{Duration, Instant};

use tracing::warn;

/// The count of one session.
#[derive(Debug, Default)]
pub(crate) struct Unasked {
    count: u32,
    told: Option<Instant>,
}

/// A server that goes on and on: a reason to end the session. Refusing costs both sides work that serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has opened {0} channels that nobody asked for")]
pub(crate) struct TooMany(u32);

impl Unasked {
    /// Counts one that is being refused. It is told of at once, and then at the most every ten
    /// seconds.
    pub(crate) fn count(&mut self, kind: &'static str) -> Result<(), TooMany> {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.told = Some(Instant::now());
            warn!(kind, count = self.count, "refused a channel that the server opened unasked");
        }
        if self.count < LIMIT { Ok(()) } else { Err(TooMany(self.count)) }
    }
}

/// A session with so many ends. Honest servers open none.
const LIMIT: u32 = 1000;
/// The least time between two lines in the log.
const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_to_it() {
        let mut unasked = Unasked::default();
        for _ in 1..LIMIT {
            unasked.count("session").expect("not too many yet");
        }
        assert_eq!(unasked.count("x11"), Err(TooMany(LIMIT)));
        let told = unasked.told.expect("told at once");
        assert!(told.elapsed() < PAUSE, "and not again");
    }
}
