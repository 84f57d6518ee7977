//! How fast an upload may be, so that it fills the line and not the queue before it.
//!
//! A line's queue holds what is sent faster than the line carries it, and everybody else waits behind
//! that. What a session's answers take beyond the least shows how much is queued: the pace goes up and
//! down around what the line carries, so that [`TARGET`] is (a congestion control by delay, as in
//! RFC 6817). The queue of others is not one's own: now and then the pace goes down for a moment, and
//! what is queued even then does not count; sooner, and further down, where a queue stays although it should have
//! gone. Nor does what the pace sends at once: it would look like a queue on
//! a line that carries far more.

use std::time::Duration;

use tokio::time::Instant;

use super::atomic_time::micros;
use super::outflow::in_time;

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
    /// When the server was asked, and what had been sent on the session until then, in bytes: before
    /// the question lay what was queued.
    pub(crate) asked: Instant,
    pub(crate) sent_before: u64,
    pub(crate) stretch: Stretch,
    pub(crate) round_trip: Duration,
    /// What has been sent until it came, in bytes.
    pub(crate) sent: u64,
    /// Whether there was more to send than the pace allowed, since the last one.
    pub(crate) held_back: bool,
}

/// When sending began that has gone on since, and what had been sent on the session until then, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) since: Instant,
    pub(crate) sent_before: u64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { since: Instant::now(), sent_before: 0 }
    }
}

#[derive(Debug)]
struct Control {
    /// What an answer takes when nothing of ours is queued.
    base: Duration,
    /// What the line carries, in bytes a second.
    capacity: u64,
    /// The most that it was found to carry since it was last doubted, in bytes a second.
    proven: u64,
    /// Answers in a row that found hardly any queue.
    short: u32,
    /// Answers in a row that found a long one that is hardly one's own.
    long: u32,
    /// In bytes a second.
    pace: u64,
    /// Since when the pace is down to find the base, or from when it will be.
    look: Look,
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Since(Instant, Depth),
    From(Instant),
}

/// How much is sent meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// A little less than the line carries.
    Usual,
    /// So little that it drains the queue of a line that carries less than it did.
    Doubting,
}

/// What happened between two questions.
#[derive(Clone, Copy, Debug)]
struct Span {
    took: Duration,
    /// What was sent, in bytes a second.
    delivered: u64,
    /// How long the queue was at its beginning and at its end, as time on the line.
    before: Duration,
    after: Duration,
}

impl Pacer {
    /// How long after an answer the server is to be asked again while an upload is paced: sooner where the pace
    /// grows, which may be too much by then.
    pub(crate) fn again(&self) -> Duration {
        let grows = self.control.as_ref().is_some_and(Control::grows);
        if grows { AGAIN / 2 } else { AGAIN }
    }

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
        let span = sample.asked.saturating_duration_since(last.asked);
        if span < LEAST_SPAN {
            return self.control.as_mut().map(|control| control.set_pace(sample));
        }
        self.last = Some(sample);
        let delivered = per_second(sample.sent_before.saturating_sub(last.sent_before), span);
        if delivered < BULK || span > MOST_SPAN {
            self.control = None;
            return None;
        }
        match &mut self.control {
            Some(control) => control.learn(last, sample, delivered, best),
            // A session that began on a full line knows no better round trip: that the socket was full
            // is enough.
            None if rate.is_some() || sample.round_trip > best + 2 * TARGET => {
                let carried = first_carried(last, sample, best);
                // What a socket takes goes into buffers, too.
                let capacity = rate.map_or(carried, |rate| rate.min(carried)).max(BULK);
                self.control = Some(Control {
                    base: best,
                    capacity,
                    proven: capacity,
                    short: 0,
                    long: 0,
                    pace: u64::MAX,
                    look: Look::From(sample.asked + FIRST_LOOK),
                });
            }
            None => {}
        }
        self.control.as_mut().map(|control| control.set_pace(sample))
    }
}

impl Control {
    fn learn(&mut self, last: Sample, sample: Sample, delivered: u64, best: Duration) {
        let took = sample.asked.saturating_duration_since(last.asked);
        let looked = matches!(self.look, Look::Since(..));
        self.find_base(last, sample, best);
        if looked {
            (self.short, self.long) = (0, 0);
            return;
        }
        let (before, queue) = (self.queue(last.round_trip), self.queue(sample.round_trip));
        let span = Span { took, delivered, before, after: queue };
        if sample.held_back && self.is_doubtful(&span) {
            self.long += 1;
            if self.long >= DOUBT && self.capacity < self.proven / 1000 * CREDIBLE {
                self.short = 0;
                self.look = Look::Since(sample.answered(), Depth::Doubting);
                return;
            }
        } else {
            self.long = 0;
        }
        let carried = span.carried().min(self.capacity * 2);
        if queue >= self.slight() {
            self.short = 0;
            // Where it was not the pace that held back, or much was queued all the time, it was the line.
            let was_full = !sample.held_back || before.min(queue) > TARGET;
            let weight = if was_full { 2 } else { 1 };
            self.capacity = ((4 - weight) * self.capacity + weight * carried) / 4;
        } else if sample.held_back {
            self.short = if queue < TARGET / 4 { self.short + 1 } else { self.short.min(2) };
            self.capacity = self.capacity.max(carried);
        }
        self.capacity = self.capacity.max(BULK);
        self.proven = self.proven.max(self.capacity);
    }

    /// Whether it is hardly one's own queue that is there after a span in which the pace held back: so little was sent
    /// that what was there before would have become shorter. Where less was delivered than the pace allows, the line
    /// did not carry more.
    fn is_doubtful(&self, span: &Span) -> bool {
        let Span { took, delivered, before, after } = *span;
        let sent = time_of(delivered * micros(took) / 1_000_000, self.capacity);
        let expected = (before + sent).saturating_sub(took);
        delivered >= self.pace / 4 * 3
            && before.min(after) > TARGET
            && after > expected + TARGET / 2
    }

    /// Looks now and then what an answer takes without a queue of ours.
    fn find_base(&mut self, last: Sample, sample: Sample, best: Duration) {
        let before = self.base;
        // What is queued before the look goes first.
        let falls = sample.round_trip + SLIGHT < last.round_trip;
        let is_least = sample.round_trip <= best + SLIGHT;
        let lasts = |since: Instant| {
            !is_least && (sample.asked < since + DRAIN || falls && sample.asked < since + 4 * DRAIN)
        };
        self.base = self.base.min(sample.round_trip);
        match self.look {
            Look::From(at) if sample.answered() >= at => {
                self.look = Look::Since(sample.answered(), Depth::Usual);
            }
            Look::Since(at, _) if lasts(at) => {}
            Look::Since(_, depth) => {
                let is_foreign = sample.round_trip > before + TARGET / 3;
                match depth {
                    _ if is_foreign => self.capacity = self.proven,
                    Depth::Doubting => self.proven = self.capacity,
                    Depth::Usual => {}
                }
                // Where it has changed by much, it may again.
                let more = sample.round_trip + TARGET / 3 < before || is_foreign;
                self.base = sample.round_trip;
                self.look =
                    Look::From(sample.asked + if more { FIRST_LOOK } else { BETWEEN_LOOKS });
            }
            Look::From(_) => {}
        }
    }

    fn queue(&self, round_trip: Duration) -> Duration {
        round_trip.saturating_sub(self.base)
    }

    /// What is hardly a queue: it may be a single burst.
    fn slight(&self) -> Duration {
        let burst = time_of(burst(self.capacity) as u64, self.capacity);
        burst.clamp(TARGET / 4, TARGET / 4 * 3)
    }

    /// Whether the line may carry more than was ever sent.
    fn grows(&self) -> bool {
        self.short > 1 && matches!(self.look, Look::From(_))
    }

    fn set_pace(&mut self, sample: Sample) -> u64 {
        self.pace = self.next_pace(sample);
        self.pace
    }

    fn next_pace(&self, sample: Sample) -> u64 {
        // What has come to the queue since the question, and gone on the line's part of the way. Where the answer waited
        // at the server, more has: to take that for queued keeps the queue shorter for others.
        let came = time_of(sample.sent.saturating_sub(sample.sent_before), self.capacity);
        let queue = (self.queue(sample.round_trip) + came).saturating_sub(sample.round_trip);
        // What is too much goes within a third of a second.
        let drains = 1000 - (3 * beyond(queue, TARGET)).min(STEEPEST);
        let permille = match self.look {
            Look::Since(_, Depth::Usual) => drains.min(SLIGHTLY),
            Look::Since(_, Depth::Doubting) => DEEPEST,
            Look::From(_) if queue > TARGET => drains,
            Look::From(_) if self.grows() => 1000 + (GROWTH << self.short.min(5)),
            Look::From(_) => 1000 + 2 * beyond(TARGET, queue),
        };
        self.capacity * permille / 1000
    }
}

impl Sample {
    fn answered(&self) -> Instant {
        self.asked + self.round_trip
    }
}

/// What is sent at once at a pace in bytes a second, in bytes.
pub(super) fn burst(pace: u64) -> usize {
    in_time(pace, BURST).max(LEAST_BURST).min(in_time(pace, TARGET))
}

/// How long a line that carries so much takes for some bytes.
fn time_of(bytes: u64, capacity: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / capacity.max(1))
}

/// By how many milliseconds one time is longer than the other.
fn beyond(longer: Duration, shorter: Duration) -> u64 {
    micros(longer.saturating_sub(shorter)) / 1000
}

impl Span {
    /// What the line carries, in bytes a second: what went into the queue was not carried; what came out of it was,
    /// besides.
    fn carried(&self) -> u64 {
        let Self { took, delivered, before, after } = *self;
        let emptied = (took + after).saturating_sub(before).max(took / 2);
        delivered * micros(took) / micros(emptied).max(1)
    }
}

/// What a line carries, in bytes a second, by the first span in which much was sent: it may have begun long before that.
fn first_carried(last: Sample, sample: Sample, best: Duration) -> u64 {
    let queue = |it: Sample| it.round_trip.saturating_sub(best);
    let Stretch { since, sent_before } = sample.stretch;
    let (since, sent_before, before) = if since > last.asked {
        (since, sent_before, Duration::ZERO)
    } else {
        (last.asked, last.sent_before, queue(last))
    };
    let took = sample.asked.saturating_duration_since(since).max(SHORTEST_STRETCH);
    let delivered = per_second(sample.sent_before.saturating_sub(sent_before), took);
    Span { took, delivered, before, after: queue(sample) }.carried()
}

fn per_second(bytes: u64, span: Duration) -> u64 {
    bytes * 1_000_000 / micros(span).max(1)
}

/// What is to wait before the line, as time on it: so much that the line never runs dry.
const TARGET: Duration = Duration::from_millis(20);
/// What is sent at once, as time on the line.
const BURST: Duration = Duration::from_millis(5);
/// Less than that, in bytes, only where it would be more than is to wait: what heads it takes room, too.
const LEAST_BURST: usize = 4 << 10;
/// By how much less than the line carries is sent at the most, in thousandths.
const STEEPEST: u64 = 500;
/// By how much more is sent where there was no queue twice in a row, in thousandths: doubled with each
/// answer until that, from 60 to 480.
const GROWTH: u64 = 15;
/// What is sent while the base is looked for, in thousandths of what the line carries: at the most, and where it may
/// carry far less than it did.
const SLIGHTLY: u64 = 800;
const DEEPEST: u64 = 250;
/// After so many answers that found a long queue, which did not become shorter, it is doubted to be one's own.
const DOUBT: u32 = 2;
/// How much of what the line carried before it is believed to carry without a doubt, in thousandths.
const CREDIBLE: u64 = 750;
/// What sends less, in bytes a second, fills no line.
const BULK: u64 = 8 << 10;
/// How long after an answer the server is asked again while an upload is paced, at the most.
const AGAIN: Duration = Duration::from_millis(200);
/// What was sent within less time shows nothing of how fast that was.
const SHORTEST_STRETCH: Duration = Duration::from_millis(10);
/// Questions that follow each other sooner show nothing,
const LEAST_SPAN: Duration = Duration::from_millis(100);
/// and later nothing that still holds.
const MOST_SPAN: Duration = Duration::from_secs(5);
/// For how long the pace is down before what an answer takes is the base: at the least, and four times as long
/// while answers take less and less.
const DRAIN: Duration = Duration::from_millis(250);
/// When it is for the first time, and again where that has helped, and then how often: it costs the upload less than a hundredth.
const FIRST_LOOK: Duration = Duration::from_millis(1500);
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);
/// An answer that takes so little more than the best was not queued.
const SLIGHT: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;
