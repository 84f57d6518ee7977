//! The base: the round trip without our own queue. It is found by sending less for a moment.

use std::time::Duration;

use tokio::time::Instant;

use super::{Sample, TARGET};

/// The round trip without our own queue, and the looks that measure it.
#[derive(Debug)]
pub(super) struct Base {
    takes: Duration,
    look: Look,
    /// The shortest round trip of the current look, or since the last one.
    least: Duration,
    /// The end of the last look.
    looked: Instant,
}

/// The current look and its beginning, or the time of the next one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    Since(Instant, Depth),
    From(Instant),
}

/// How far the pace is lowered in a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// To a little less than the capacity.
    Usual,
    /// So far that our own queue drains even if the capacity has dropped.
    Doubting,
}

impl Base {
    /// The shortest round trip, until a look finds another.
    pub(super) fn new(best: Duration, now: Instant) -> Self {
        let look = Look::From(now + FIRST_LOOK);
        Self { takes: best, look, least: Duration::MAX, looked: now }
    }

    pub(super) fn takes(&self) -> Duration {
        self.takes
    }

    /// The depth of the current look, if any.
    pub(super) fn depth(&self) -> Option<Depth> {
        match self.look {
            Look::Since(_, depth) => Some(depth),
            Look::From(_) => None,
        }
    }

    /// Whether a sample of this time was taken before the end of the last look, so that little was being sent.
    pub(super) fn was_looking(&self, asked: Instant) -> bool {
        asked < self.looked
    }

    /// Whether the base contains a queue of other traffic.
    pub(super) fn is_foreign(&self, best: Duration) -> bool {
        self.takes > best + TARGET
    }

    /// Begins a look because the queue is probably not our own.
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

    /// Takes note of a sample, and begins and ends looks. Returns the depth of a look that ends with this sample.
    ///
    /// A usual look may find our own queue if the capacity is overestimated, so it raises the base to at most
    /// [`TARGET`] above the shortest round trip.
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
        // The queue from before the look drains first.
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
        // A base that has changed much may change again.
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
    /// The shortest duration of a look; four times as long while the round trip keeps falling.
    pub(super) fn drain(self) -> Duration {
        match self {
            Self::Usual => DRAIN,
            Self::Doubting => DRAIN / 2,
        }
    }
}

/// The shortest duration of a usual look.
const DRAIN: Duration = Duration::from_millis(250);
/// The time before the first look, and before the next one after a change.
const FIRST_LOOK: Duration = Duration::from_millis(1500);
/// The time between looks, which cost an upload less than a hundredth.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(30);
/// The time between looks while other traffic is queued.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(4);
/// The difference to the shortest round trip that is not a queue.
pub(super) const SLIGHT: Duration = Duration::from_millis(5);
