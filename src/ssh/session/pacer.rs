//! How fast an upload may be, so that it fills the line and not the queue before it.
//!
//! A line's queue holds what is sent faster than the line carries it, and everybody else waits behind
//! that. What a session's answers take beyond the least shows how much is queued: the pace goes up and
//! down around what the line carries, so that [`TARGET`] is (a congestion control by delay, as in
//! RFC 6817). The queue of others is not one's own: now and then the pace goes down for a moment, and
//! what is queued even then does not count.

use std::time::Duration;

use tokio::time::Instant;

/// Finds the pace of one session from what its answers take. Pure: it is told the time.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    last: Option<Sample>,
    /// None while nothing has to be held back.
    control: Option<Control>,
}

/// What an answer has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it came.
    pub(crate) at: Instant,
    /// What it took.
    pub(crate) round_trip: Duration,
    /// What was sent on the session until then, in bytes.
    pub(crate) sent: u64,
    /// Whether there was more to send than the pace allowed, since the last one.
    pub(crate) held_back: bool,
}

#[derive(Debug)]
struct Control {
    /// What an answer takes when nothing of ours is queued.
    base: Duration,
    /// What the line carries, in bytes a second.
    capacity: u64,
    /// Answers in a row that found hardly any queue.
    short: u32,
    /// Since when the pace is down to find the base, or from when it will be.
    look: Look,
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Since(Instant),
    From(Instant),
}

impl Pacer {
    /// Takes note of an answer. Returns the pace from now on, in bytes a second; none for as fast as
    /// it goes. `best` is the shortest round trip so far, `rate` what a full socket was found to take.
    pub(crate) fn answered(
        &mut self,
        sample: Sample,
        best: Duration,
        rate: Option<u64>,
    ) -> Option<u64> {
        let Some(last) = self.last else {
            self.last = Some(sample);
            return None;
        };
        let span = sample.at.saturating_duration_since(last.at);
        if span < LEAST_SPAN {
            return self.control.as_ref().map(|control| control.pace(sample.round_trip));
        }
        self.last = Some(sample);
        let delivered = per_second(sample.sent.saturating_sub(last.sent), span);
        if delivered < BULK || span > MOST_SPAN {
            self.control = None;
            return None;
        }
        match &mut self.control {
            Some(control) => control.learn(last, sample, delivered, span),
            None if sample.round_trip > best + 2 * TARGET => {
                self.control = Some(Control {
                    base: best,
                    capacity: rate.map_or(delivered, |rate| rate.min(delivered)).max(BULK),
                    short: 0,
                    look: Look::From(sample.at + FIRST_LOOK),
                });
            }
            None => {}
        }
        self.control.as_ref().map(|control| control.pace(sample.round_trip))
    }
}

impl Control {
    fn learn(&mut self, last: Sample, sample: Sample, delivered: u64, span: Duration) {
        let looked = matches!(self.look, Look::Since(_));
        self.find_base(sample);
        if looked {
            self.short = 0;
            return;
        }
        let (before, queue) = (self.queue(last.round_trip), self.queue(sample.round_trip));
        // What went into the queue was not carried; what came out of it was, besides.
        let took = (span + queue).saturating_sub(before).max(span / 2);
        let carried = delivered * micros(span) / micros(took).max(1);
        let carried = carried.min(self.capacity * 2);
        if queue >= TARGET / 4 {
            self.short = 0;
            // Where it was not the pace that held back, it was the line.
            let weight = if sample.held_back { 1 } else { 2 };
            self.capacity = ((4 - weight) * self.capacity + weight * carried) / 4;
        } else if sample.held_back {
            self.short += 1;
            self.capacity = self.capacity.max(carried);
        }
        self.capacity = self.capacity.max(BULK);
    }

    /// Looks now and then what an answer takes without a queue of ours.
    fn find_base(&mut self, sample: Sample) {
        self.base = self.base.min(sample.round_trip);
        match self.look {
            Look::From(at) if sample.at >= at => self.look = Look::Since(sample.at),
            Look::Since(at) if sample.at >= at + sample.round_trip + DRAIN => {
                self.base = sample.round_trip;
                self.look = Look::From(sample.at + BETWEEN_LOOKS);
            }
            Look::From(_) | Look::Since(_) => {}
        }
    }

    fn queue(&self, round_trip: Duration) -> Duration {
        round_trip.saturating_sub(self.base)
    }

    fn pace(&self, round_trip: Duration) -> u64 {
        let queue = self.queue(round_trip);
        let permille = match self.look {
            Look::Since(_) => 800,
            // What is too much goes within half a second.
            Look::From(_) if queue > TARGET => 1000 - (2 * beyond(queue, TARGET)).min(STEEPEST),
            Look::From(_) if self.short > 1 => 1000 + (GROWTH << self.short.min(6)),
            Look::From(_) => 1000 + 2 * beyond(TARGET, queue),
        };
        self.capacity * permille / 1000
    }
}

/// By how many milliseconds one time is longer than the other.
fn beyond(longer: Duration, shorter: Duration) -> u64 {
    micros(longer.saturating_sub(shorter)) / 1000
}

fn per_second(bytes: u64, span: Duration) -> u64 {
    bytes * 1_000_000 / micros(span).max(1)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What is to wait before the line, as time on it: so much that the line never runs dry.
const TARGET: Duration = Duration::from_millis(30);
/// By how much less than the line carries is sent at the most, in thousandths.
const STEEPEST: u64 = 300;
/// By how much more is sent where there was no queue twice in a row, in thousandths: doubled with each
/// answer until that, from 60 to 960.
const GROWTH: u64 = 15;
/// What sends less, in bytes a second, fills no line.
const BULK: u64 = 8 << 10;
/// How long after an answer the server is asked again while an upload is paced.
pub(crate) const AGAIN: Duration = Duration::from_millis(200);
/// Answers that come sooner after another show nothing,
const LEAST_SPAN: Duration = Duration::from_millis(100);
/// and later nothing that still holds.
const MOST_SPAN: Duration = Duration::from_secs(5);
/// For how long the pace is down before what an answer takes is the base.
const DRAIN: Duration = Duration::from_millis(250);
/// When it is for the first time, and then how often: it costs the upload a hundredth.
const FIRST_LOOK: Duration = Duration::from_secs(4);
const BETWEEN_LOOKS: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a queue before it, and a sender with more than it carries.
    struct Uplink {
        now: Instant,
        pacer: Pacer,
        pace: Option<u64>,
        capacity: u64,
        /// In bytes.
        queue: u64,
        most: u64,
        sent: u64,
        carried: u64,
        /// What others have in the queue, as time.
        foreign: Duration,
    }

    impl Uplink {
        fn new(capacity: u64) -> Self {
            Self {
                now: Instant::now(),
                pacer: Pacer::default(),
                pace: None,
                capacity,
                queue: 0,
                most: capacity / 10,
                sent: 0,
                carried: 0,
                foreign: Duration::ZERO,
            }
        }

        /// Sends for a time, with an answer every half second. Returns the longest queue, as time.
        fn send_for(&mut self, seconds: u64) -> Duration {
            let mut longest = Duration::ZERO;
            for _ in 0..seconds * 2 {
                let mut held_back = false;
                for _ in 0..500 {
                    let room = self.most - self.queue;
                    let sends = self.pace.map_or(room, |pace| room.min(pace / 1000));
                    held_back |= sends < room;
                    let carries = (self.queue + sends).min(self.capacity / 1000);
                    self.queue = self.queue + sends - carries;
                    self.sent += sends;
                    self.carried += carries;
                }
                self.now += Duration::from_millis(500);
                let queued = Duration::from_micros(self.queue * 1_000_000 / self.capacity);
                longest = longest.max(queued);
                let round_trip = BEST + queued + self.foreign;
                let sample = Sample { at: self.now, round_trip, sent: self.sent, held_back };
                self.pace = self.pacer.answered(sample, BEST, None);
            }
            longest
        }

        /// The share of the line that was used since the last call, in hundredths.
        fn used(&mut self, seconds: u64) -> u64 {
            let carried = std::mem::take(&mut self.carried);
            carried * 100 / (self.capacity * seconds)
        }
    }

    const BEST: Duration = Duration::from_millis(30);

    #[test]
    fn an_upload_fills_the_line_and_not_the_queue() {
        for capacity in [30_000, 250_000, 625_000, 12_500_000] {
            let mut line = Uplink::new(capacity);
            assert!(line.send_for(3) > 2 * TARGET, "it finds out");
            line.used(3);
            let longest = line.send_for(60);
            assert!(longest < 2 * TARGET, "{longest:?} at {capacity}");
            let used = line.used(60);
            assert!(used >= 98, "{used} % of {capacity}");
        }
    }

    #[test]
    fn a_line_that_changes_is_followed() {
        let mut line = Uplink::new(1_000_000);
        line.send_for(10);
        line.capacity = 4_000_000;
        line.most = line.capacity / 10;
        line.send_for(10);
        line.used(10);
        assert!(line.send_for(20) < 2 * TARGET);
        assert!(line.used(20) >= 97);
        line.capacity = 500_000;
        line.most = line.capacity / 10;
        line.queue = line.queue.min(line.most);
        line.send_for(10);
        line.used(10);
        assert!(line.send_for(20) < 2 * TARGET);
        assert!(line.used(20) >= 97);
    }

    #[test]
    fn the_queue_of_others_is_not_ours() {
        let mut line = Uplink::new(1_000_000);
        line.send_for(10);
        line.foreign = Duration::from_millis(80);
        line.send_for(30);
        line.used(30);
        line.send_for(30);
        let used = line.used(30);
        assert!(used >= 97, "{used} %");
    }

    #[test]
    fn who_sends_little_is_not_held_back() {
        let mut pacer = Pacer::default();
        let begun = Instant::now();
        for beat in 1..20 {
            let sample = Sample {
                at: begun + Duration::from_millis(500) * beat,
                round_trip: BEST * 10,
                sent: u64::from(beat) * 1000,
                held_back: false,
            };
            assert_eq!(pacer.answered(sample, BEST, Some(1_000_000)), None);
        }
    }
}
