//! How fast an upload may be, so that it fills the line and not the queue before it.
//!
//! A line's queue holds what is sent faster than the line carries it, and everybody else waits behind
//! that. What a session's answers take beyond the least shows how much is queued: the pace goes up and
//! down around what the line carries, so that [`TARGET`] is (a congestion control by delay, as in
//! RFC 6817). The queue of others is not one's own: now and then the pace goes down for a moment, and
//! what is queued even then does not count. Nor does what the pace sends at once: it would look like a queue on
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
            return self.control.as_ref().map(|control| control.pace(sample));
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
                self.control = Some(Control {
                    base: best,
                    // What a socket takes goes into buffers, too.
                    capacity: rate.map_or(carried, |rate| rate.min(carried)).max(BULK),
                    short: 0,
                    look: Look::From(sample.asked + FIRST_LOOK),
                });
            }
            None => {}
        }
        self.control.as_ref().map(|control| control.pace(sample))
    }
}

impl Control {
    fn learn(&mut self, last: Sample, sample: Sample, delivered: u64, best: Duration) {
        let span = sample.asked.saturating_duration_since(last.asked);
        let looked = matches!(self.look, Look::Since(_));
        self.find_base(last, sample, best);
        if looked {
            self.short = 0;
            return;
        }
        let (before, queue) = (self.queue(last.round_trip), self.queue(sample.round_trip));
        let carried = carried(delivered, span, before, queue).min(self.capacity * 2);
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
            Look::From(at) if sample.answered() >= at => self.look = Look::Since(sample.answered()),
            Look::Since(at) if lasts(at) => {}
            Look::Since(_) => {
                // Where it has come down by much, there may be more.
                let more = sample.round_trip + TARGET / 3 < before;
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

    fn pace(&self, sample: Sample) -> u64 {
        // What has come to the queue since the question, and gone.
        let came = time_of(sample.sent.saturating_sub(sample.sent_before), self.capacity);
        let queue = (self.queue(sample.round_trip) + came).saturating_sub(sample.round_trip);
        // What is too much goes within a third of a second.
        let drains = 1000 - (3 * beyond(queue, TARGET)).min(STEEPEST);
        let permille = match self.look {
            Look::Since(_) => drains.min(800),
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

/// What a line carries, in bytes a second, where so many were `delivered` to it in a span that began with one queue
/// and ended with another: what went into the queue was not carried; what came out of it was, besides.
fn carried(delivered: u64, span: Duration, before: Duration, after: Duration) -> u64 {
    let took = (span + after).saturating_sub(before).max(span / 2);
    delivered * micros(span) / micros(took).max(1)
}

/// The same, of the first span in which much was sent: it may have begun long before that.
fn first_carried(last: Sample, sample: Sample, best: Duration) -> u64 {
    let queue = |it: Sample| it.round_trip.saturating_sub(best);
    let Stretch { since, sent_before } = sample.stretch;
    let (since, sent_before, before) = if since > last.asked {
        (since, sent_before, Duration::ZERO)
    } else {
        (last.asked, last.sent_before, queue(last))
    };
    let span = sample.asked.saturating_duration_since(since).max(SHORTEST_STRETCH);
    let delivered = per_second(sample.sent_before.saturating_sub(sent_before), span);
    carried(delivered, span, before, queue(sample))
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
        /// What the pace allows and was not sent yet, in bytes.
        saved: u64,
        carried: u64,
        /// What others have in the queue, as time.
        foreign: Duration,
        held_back: bool,
        best_known: Duration,
        rate: Option<u64>,
        /// When the server was asked, what had been sent, and what the answer takes.
        question: Option<(Instant, u64, Duration)>,
        next: Instant,
        stretch: Stretch,
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
                saved: 0,
                carried: 0,
                foreign: Duration::ZERO,
                held_back: false,
                best_known: BEST,
                rate: None,
                question: None,
                next: Instant::now(),
                stretch: Stretch::default(),
            }
        }

        /// Sends for a time, and asks again some time after each answer. Returns the longest queue, as
        /// time.
        fn send_for(&mut self, seconds: u64) -> Duration {
            self.send_for_millis(seconds * 1000)
        }

        /// Sends nothing, from the answer to a question until so long after the next one.
        fn idle_for(&mut self, millis: u64) {
            let mut sample = Sample {
                asked: self.now,
                sent_before: 0,
                stretch: self.stretch,
                round_trip: BEST,
                sent: 0,
                held_back: false,
            };
            for _ in 0..2 {
                sample.asked = self.now;
                self.pacer.answered(sample, self.best_known, self.rate);
                self.now += Duration::from_millis(millis);
            }
            self.stretch.since = self.now;
            self.next = self.now + UNPACED - Duration::from_millis(millis);
        }

        /// Sends until the first queue is noticed.
        fn send_until_paced(&mut self) {
            while self.pace.is_none() {
                self.send_for_millis(1);
            }
        }

        fn send_for_millis(&mut self, millis: u64) -> Duration {
            let mut longest = Duration::ZERO;
            for _ in 0..millis {
                self.now += Duration::from_millis(1);
                let room = self.most - self.queue;
                let sends = self.pace.map_or(room, |pace| room.min(self.burst(pace)));
                self.held_back |= sends < room;
                let carries = (self.queue + sends).min(self.capacity / 1000);
                self.queue = self.queue + sends - carries;
                self.sent += sends;
                self.carried += carries;
                let queued = Duration::from_micros(self.queue * 1_000_000 / self.capacity);
                longest = longest.max(queued);
                match self.question {
                    Some((asked, sent_before, round_trip)) if self.now >= asked + round_trip => {
                        let held_back = std::mem::take(&mut self.held_back);
                        let sent = self.sent;
                        let stretch = self.stretch;
                        let sample =
                            Sample { asked, sent_before, stretch, round_trip, sent, held_back };
                        self.pace = self.pacer.answered(sample, self.best_known, self.rate);
                        self.next = self.now + self.pace.map_or(UNPACED, |_| self.pacer.again());
                        self.question = None;
                    }
                    None if self.now >= self.next => {
                        self.question = Some((self.now, self.sent, BEST + queued + self.foreign));
                    }
                    _ => {}
                }
            }
            longest
        }

        /// What is sent in this millisecond: nothing, or one burst or more.
        fn burst(&mut self, pace: u64) -> u64 {
            self.saved += pace / 1000;
            let burst = burst(pace) as u64;
            let sends = self.saved / burst * burst;
            self.saved -= sends;
            sends
        }

        /// The share of the line that was used since the last call, in hundredths.
        fn used(&mut self, seconds: u64) -> u64 {
            let carried = std::mem::take(&mut self.carried);
            carried * 100 / (self.capacity * seconds)
        }
    }

    const BEST: Duration = Duration::from_millis(30);
    const UNPACED: Duration = Duration::from_millis(500);

    #[test]
    fn an_upload_fills_the_line_and_not_the_queue() {
        // Of the first, a single burst is a target.
        for (capacity, targets) in [(30_000, 4), (250_000, 2), (625_000, 2), (12_500_000, 2)] {
            let mut line = Uplink::new(capacity);
            assert!(line.send_for(3) > 2 * TARGET, "it finds out");
            line.used(3);
            let longest = line.send_for(60);
            assert!(longest < targets * TARGET, "{longest:?} at {capacity}");
            let used = line.used(60);
            assert!(used >= 98, "{used} % of {capacity}");
        }
    }

    #[test]
    fn the_queue_of_the_beginning_goes_soon() {
        for found in [None, Some(100), Some(120), Some(140)] {
            let mut line = Uplink::new(12_500_000);
            // Buffers have taken some of what the socket took.
            line.rate = found.map(|hundredths| line.capacity / 100 * hundredths);
            line.send_until_paced();
            line.send_for_millis(400);
            let longest = line.send_for_millis(600);
            assert!(longest < 2 * TARGET, "{longest:?} where {found:?} % were found");
            line.used(1);
            line.send_for(10);
            let used = line.used(10);
            assert!(used >= 98, "{used} %");
        }
    }

    #[test]
    fn an_upload_that_begins_between_two_questions_is_as_fast_at_once() {
        for (capacity, idle) in [(12_500_000, 100), (12_500_000, 400), (625_000, 400)] {
            let mut line = Uplink::new(capacity);
            line.idle_for(idle);
            line.send_until_paced();
            let found = line.pacer.control.as_ref().expect("an upload").capacity;
            let permille = found * 1000 / capacity;
            assert!((800..=1200).contains(&permille), "{permille} of {capacity} after {idle} ms");
        }
    }

    #[test]
    fn a_pace_that_grows_is_not_far_too_much() {
        let mut line = Uplink::new(1_000_000);
        line.send_for(10);
        line.capacity = 8_000_000;
        line.most = line.capacity / 2;
        line.queue = 0;
        let longest = line.send_for(10);
        assert!(longest < Duration::from_millis(90), "{longest:?}");
        line.used(10);
        line.send_for(10);
        assert!(line.used(10) >= 97);
    }

    #[test]
    fn a_pace_that_is_far_too_low_grows_in_spite_of_bursts() {
        for capacity in [250_000, 625_000, 12_500_000] {
            let mut line = Uplink::new(capacity);
            line.send_until_paced();
            line.send_for(3);
            line.pacer.control.as_mut().expect("an upload").capacity = capacity / 3;
            line.send_for(3);
            line.used(1);
            line.send_for(3);
            let used = line.used(3);
            assert!(used >= 97, "{used} % of {capacity}");
        }
    }

    #[test]
    fn the_base_is_found_when_the_queue_has_gone() {
        let mut line = Uplink::new(12_500_000);
        line.send_until_paced();
        let now = line.now;
        line.pacer.control.as_mut().expect("an upload").look = Look::Since(now);
        line.send_for_millis(1500);
        let control = line.pacer.control.as_ref().expect("an upload");
        assert!(matches!(control.look, Look::From(_)), "it is over");
        assert!(control.base <= BEST + SLIGHT, "{:?}", control.base);
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
    fn a_session_that_began_on_a_full_line_finds_its_round_trip() {
        let mut line = Uplink::new(625_000);
        line.best_known = BEST + Duration::from_millis(90);
        line.rate = Some(600_000);
        line.send_for(8);
        line.used(8);
        assert!(line.send_for(20) < 2 * TARGET);
        assert!(line.used(20) >= 97);
    }

    #[test]
    fn questions_that_follow_at_once_change_nothing() {
        let mut line = Uplink::new(625_000);
        line.send_for(10);
        let before = line.pacer.control.as_ref().expect("an upload").capacity;
        let last = line.pacer.last.expect("an answer");
        for micros in [1, 1000, 50_000] {
            let asked = last.asked + Duration::from_micros(micros);
            line.pacer.answered(Sample { asked, round_trip: BEST, ..last }, BEST, None);
        }
        assert_eq!(line.pacer.control.expect("an upload").capacity, before);
    }

    #[test]
    fn who_sends_little_is_not_held_back() {
        let mut pacer = Pacer::default();
        let begun = Instant::now();
        for beat in 1..20 {
            let asked = begun + Duration::from_millis(500) * beat;
            let sent = u64::from(beat) * 1000;
            let (round_trip, sent_before) = (BEST * 10, sent);
            let stretch = Stretch { since: begun, sent_before: 0 };
            let sample = Sample { asked, sent_before, stretch, round_trip, sent, held_back: false };
            assert_eq!(pacer.answered(sample, BEST, Some(1_000_000)), None);
        }
    }
}
