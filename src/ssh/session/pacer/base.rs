//! Finds what an answer takes without a queue of ours, by sending less for a moment.

use std::time::Duration;

use tokio::time::Instant;

use super::{Sample, TARGET};

/// What an answer takes when nothing of ours is queued.
#[derive(Debug)]
pub(super) struct Base {
    takes: Duration,
    look: Look,
    /// The least that an answer took in the present or the last look.
    least: Duration,
    /// When the last look ended.
    looked: Instant,
}

/// Since when the pace is down to find the base, or from when it will be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    Since(Instant, Depth),
    From(Instant),
}

/// How much is sent meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// A little less than the line carries.
    Usual,
    /// So little that it drains the queue of a line that carries less than it did.
    Doubting,
}

impl Base {
    /// The shortest round trip, as long as nothing else was found.
    pub(super) fn new(best: Duration, now: Instant) -> Self {
        let look = Look::From(now + FIRST_LOOK);
        Self { takes: best, look, least: Duration::MAX, looked: now }
    }

    pub(super) fn takes(&self) -> Duration {
        self.takes
    }

    /// How deep the present look is, where there is one.
    pub(super) fn depth(&self) -> Option<Depth> {
        match self.look {
            Look::Since(_, depth) => Some(depth),
            Look::From(_) => None,
        }
    }

    /// Whether what was asked at this time came before the end of a look: less was sent then.
    pub(super) fn was_looking(&self, asked: Instant) -> bool {
        asked < self.looked
    }

    /// Whether the queue of others is part of it.
    pub(super) fn is_foreign(&self, best: Duration) -> bool {
        self.takes > best + TARGET
    }

    /// Begins a look because the queue is hardly one's own.
    pub(super) fn doubt(&mut self, sample: Sample) {
        self.begin(sample, Depth::Doubting);
    }

    fn begin(&mut self, sample: Sample, depth: Depth) {
        self.look = Look::Since(sample.answered(), depth);
        self.least = sample.round_trip;
    }

    /// Takes note of a round trip that was measured in another way.
    pub(super) fn saw(&mut self, round_trip: Duration) {
        self.least = self.least.min(round_trip);
    }

    /// Takes note of an answer, and looks now and then. Returns how deep the look was that has ended with it.
    ///
    /// What is found by a usual look may be one's own queue where the line carries less than it is believed to, so
    /// that it counts only as far as it is no more than a [`TARGET`] above the best.
    pub(super) fn follow(&mut self, last: Sample, sample: Sample, best: Duration) -> Option<Depth> {
        let before = self.takes;
        self.takes = before.min(sample.round_trip);
        self.least = self.least.min(sample.round_trip);
        let (since, depth) = match self.look {
            Look::Since(since, depth) => (since, depth),
            Look::From(at) => {
                if sample.answered() >= at {
                    let is_foreign = self.is_foreign(best);
                    self.begin(sample, if is_foreign { Depth::Doubting } else { Depth::Usual });
                }
                return None;
            }
        };
        // What is queued before the look goes first.
        let falls = sample.round_trip + SLIGHT < last.round_trip;
        let is_least = sample.round_trip <= best + SLIGHT;
        let drain = depth.drain();
        let lasts = sample.asked < since + drain || falls && sample.asked < since + 4 * drain;
        if lasts && !is_least {
            return None;
        }
        self.takes = match depth {
            Depth::Usual => self.least.min(self.takes.max(best + TARGET)),
            Depth::Doubting => self.least,
        };
        // Where it has changed by much, it may again.
        let again = match depth {
            Depth::Doubting if self.is_foreign(best) => BETWEEN_DOUBTS,
            Depth::Usual if self.is_foreign(best) || self.takes + TARGET / 3 < before => FIRST_LOOK,
            _ => BETWEEN_LOOKS,
        };
        self.looked = sample.answered();
        self.look = Look::From(sample.asked + again);
        Some(depth)
    }
}

#[cfg(test)]
impl Base {
    pub(super) fn set(&mut self, takes: Duration, look: Look) {
        (self.takes, self.look, self.least) = (takes, look, Duration::MAX);
    }
}

impl Depth {
    /// For how long the pace is down before what an answer takes is the base: at the least, and four times as long
    /// while answers take less and less.
    pub(super) fn drain(self) -> Duration {
        match self {
            Self::Usual => DRAIN,
            Self::Doubting => DRAIN / 2,
        }
    }
}

const DRAIN: Duration = Duration::from_millis(250);
/// When the base is looked for first, and again where that has helped; then how often: it costs the upload less than a
/// hundredth; and how often while others queue.
const FIRST_LOOK: Duration = Duration::from_millis(1500);
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(30);
const BETWEEN_DOUBTS: Duration = Duration::from_secs(4);
/// An answer that takes so little more than the best was not queued.
pub(super) const SLIGHT: Duration = Duration::from_millis(5);
