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

use self::base::{Base, Depth};
use super::atomic_time::micros;
use super::outflow::in_time;

mod base;

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
    base: Base,
    /// What the line carries, in bytes a second.
    capacity: u64,
    /// The most that it was found to carry since it was last doubted, in bytes a second.
    proven: u64,
    /// Answers in a row that found hardly any queue.
    short: u32,
    /// Answers in a row that found a long one that is hardly one's own.
    long: u32,
    /// The present one and the one before it, in bytes a second: what an answer tells of was sent at either.
    pace: u64,
    last_pace: u64,
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
    /// What an answer takes without a queue of ours, while there is a pace.
    pub(crate) fn base(&self) -> Option<Duration> {
        self.control.as_ref().map(|control| control.base.takes())
    }

    /// How long after an answer the server is to be asked again while an upload is paced: sooner where the pace
    /// grows, which may be too much by then.
    pub(crate) fn again(&self) -> Duration {
        match &self.control {
            Some(control) if control.base.depth() == Some(Depth::Doubting) => AGAIN / 3,
            Some(control) if control.grows() => AGAIN / 2,
            _ => AGAIN,
        }
    }

    /// Takes note of a round trip that was measured besides, of which nothing else is known.
    pub(crate) fn saw(&mut self, round_trip: Duration) {
        if let Some(control) = &mut self.control {
            control.base.saw(round_trip);
        }
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
                    base: Base::new(best, sample.asked),
                    capacity,
                    proven: capacity,
                    short: 0,
                    long: 0,
                    pace: u64::MAX,
                    last_pace: u64::MAX,
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
        let looked = self.base.depth().is_some();
        if self.base.follow(last, sample, best) == Some(Depth::Doubting) {
            if self.base.is_foreign(best) {
                self.capacity = self.capacity.max(self.credible());
            } else {
                self.proven = self.capacity;
            }
        }
        if looked || self.base.was_looking(last.asked) {
            (self.short, self.long) = (0, 0);
            return;
        }
        let (before, queue) = (self.queue(last.round_trip), self.queue(sample.round_trip));
        let span = Span { took, delivered, before, after: queue };
        if sample.held_back && self.is_doubtful(&span) {
            self.long += 1;
            if self.long >= DOUBT && self.capacity < self.credible() {
                self.short = 0;
                self.base.doubt(sample);
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
            let is_short = queue < (self.slight() / 3 * 2).max(TARGET / 4);
            self.short = if is_short { self.short + 1 } else { self.short.min(2) };
            // What was sent without a queue was carried. That it was shows late by a little.
            let sent = self.pace.max(self.last_pace).min(carried / 4 * 5);
            self.capacity = self.capacity.max(sent);
        }
        self.capacity = self.capacity.max(BULK);
        // A single answer proves little.
        self.proven += self.capacity.saturating_sub(self.proven) / 4;
    }

    /// Whether it is hardly one's own queue that is there after a span in which the pace held back: so little was sent
    /// that what was there before would have become shorter. Where less was delivered than the pace allows, the line
    /// did not carry more.
    fn is_doubtful(&self, span: &Span) -> bool {
        let Span { took, delivered, before, after } = *span;
        let sent = time_of(delivered * micros(took) / 1_000_000, self.capacity);
        let expected = (before + sent).saturating_sub(took);
        delivered >= self.pace.min(self.last_pace) / 4 * 3
            && before.min(after) > TARGET
            && after > expected + TARGET / 2
    }

    /// What the line carries at the least, in bytes a second, as long as nothing has shown that it does not.
    fn credible(&self) -> u64 {
        self.proven / 1000 * CREDIBLE
    }

    fn queue(&self, round_trip: Duration) -> Duration {
        round_trip.saturating_sub(self.base.takes())
    }

    /// What is hardly a queue: it may be a single burst.
    fn slight(&self) -> Duration {
        let burst = time_of(burst(self.capacity) as u64, self.capacity);
        burst.clamp(TARGET / 4, TARGET / 4 * 3)
    }

    /// Whether the line may carry more than was ever sent.
    fn grows(&self) -> bool {
        self.short > 1 && self.base.depth().is_none()
    }

    fn set_pace(&mut self, sample: Sample) -> u64 {
        self.last_pace = self.pace;
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
        let permille = match self.base.depth() {
            Some(Depth::Usual) => drains.min(SLIGHTLY),
            Some(Depth::Doubting) => DEEPEST,
            None if queue > TARGET => drains,
            None if self.grows() => 1000 + (GROWTH << self.short.min(5)),
            None => 1000 + 2 * beyond(TARGET, queue),
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

#[cfg(test)]
mod tests;
