//! The pace of uploads: as fast as the line carries them without a long queue in front of it.
//!
//! Data that is sent faster than the line carries it waits in the queue of a router or modem, and delays everything
//! that is sent after it, by anyone. The time by which a round trip exceeds the shortest one shows how long that queue
//! is, and the pace is adjusted so that [`TARGET`] is kept in it (delay-based congestion control, as in RFC 6817).
//!
//! Queues that other traffic causes, on either way, look the same. So the pace is lowered for a moment now and then: the
//! queue that remains is not our own and becomes part of the [base]. This is done sooner, and with a lower pace,
//! if the queue does not drain although it should.

use std::time::Duration;

use tokio::time::Instant;

use self::base::{Base, Depth};
use super::atomic_time::micros;
use super::delay::LAN;
use super::outflow::{in_time, per_second};

mod base;

/// Derives the pace of one session from its round trips. It is pure: the time is an input.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    last: Option<Sample>,
    /// `None` while uploads need no pace.
    control: Option<Control>,
}

/// A measured round trip: of a ping, or of the last segment that the server's kernel acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When the ping or the segment was sent.
    pub(crate) asked: Instant,
    /// The bytes sent on the session before it. Those of them that had not arrived were queued in front of it.
    pub(crate) sent_before: u64,
    pub(crate) stretch: Stretch,
    pub(crate) round_trip: Duration,
    /// The bytes sent on the session by the end of the round trip.
    pub(crate) sent: u64,
    /// Whether the pace has held back data since the previous sample.
    pub(crate) held_back: bool,
}

/// The beginning of the data that has been sent without a pause since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) since: Instant,
    /// The bytes sent on the session before it.
    pub(crate) sent_before: u64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { since: Instant::now(), sent_before: 0 }
    }
}

/// The state of the socket, as far as it is known: a full one is evidence that the line is the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SocketState {
    /// It holds data that is not sent.
    Full,
    /// It has sent everything.
    Room,
    /// Its state is unknown. It took this many bytes a second while it was full, if it ever was.
    Unknown(Option<u64>),
}

#[derive(Debug)]
struct Control {
    base: Base,
    /// The estimated bandwidth of the line, in bytes a second.
    capacity: u64,
    /// The highest capacity, smoothed, since a look last confirmed a lower one. In bytes a second.
    proven: u64,
    /// The number of consecutive samples with hardly any queue.
    short: u32,
    /// The number of consecutive samples with a long queue that is probably not our own.
    long: u32,
    /// The pace, in bytes a second.
    pace: u64,
    /// The previous pace: some of the data that a sample covers was sent at this pace.
    last_pace: u64,
}

/// The time between two samples.
#[derive(Clone, Copy, Debug)]
struct Span {
    took: Duration,
    /// The rate of sending, in bytes a second.
    delivered: u64,
    /// The queueing delay at the beginning.
    before: Duration,
    /// The queueing delay at the end.
    after: Duration,
}

impl Pacer {
    /// The round trip without our own queue; `None` while uploads have no pace.
    pub(crate) fn base(&self) -> Option<Duration> {
        self.control.as_ref().map(|control| control.base.takes())
    }

    /// The time from one sample to the next while an upload is paced. It is shorter while the pace grows or is very low.
    pub(crate) fn again(&self) -> Duration {
        match &self.control {
            Some(control) if control.base.depth() == Some(Depth::Doubting) => AGAIN / 3,
            Some(control) if control.grows() => AGAIN / 2,
            _ => AGAIN,
        }
    }

    /// Takes note of a round trip whose other figures are unknown.
    pub(crate) fn saw(&mut self, round_trip: Duration) {
        if let Some(control) = &mut self.control {
            control.base.saw(round_trip);
        }
    }

    /// Takes note of a sample. Returns the new pace in bytes a second, or `None` for no limit. `best` is the shortest
    /// round trip so far.
    pub(crate) fn answered(
        &mut self,
        sample: Sample,
        best: Duration,
        socket: SocketState,
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
            None if socket.needs_pace(sample.round_trip, best) => {
                let carried = first_carried(last, sample, best);
                // Some of what the socket took is still in buffers.
                let capacity = socket.took().map_or(carried, |rate| rate.min(carried)).max(BULK);
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
            // The line was the limit if the pace held nothing back, or if the queue was long all the time.
            let was_full = !sample.held_back || before.min(queue) > TARGET;
            let weight = if was_full { 2 } else { 1 };
            self.capacity = ((4 - weight) * self.capacity + weight * carried) / 4;
        } else if sample.held_back {
            let is_short = queue < (self.slight() / 3 * 2).max(TARGET / 4);
            self.short = if is_short { self.short + 1 } else { self.short.min(2) };
            // Data that causes no queue has been carried, although not all of it may be acknowledged yet.
            let sent = self.pace.max(self.last_pace).min(carried / 4 * 5);
            self.capacity = self.capacity.max(sent);
        }
        self.capacity = self.capacity.max(BULK);
        // A single sample proves little.
        self.proven += self.capacity.saturating_sub(self.proven) / 4;
    }

    /// Whether the queue after a span in which the pace held data back is probably not our own: so little was sent that
    /// our own queue would have become shorter. If less was delivered than the pace allows, the line was the limit.
    fn is_doubtful(&self, span: &Span) -> bool {
        let Span { took, delivered, before, after } = *span;
        let sent = time_of(delivered * micros(took) / 1_000_000, self.capacity);
        let expected = (before + sent).saturating_sub(took);
        delivered >= self.pace.min(self.last_pace) / 4 * 3
            && before.min(after) > TARGET
            && after > expected + TARGET / 2
    }

    /// The least capacity that is believed without a look, in bytes a second.
    fn credible(&self) -> u64 {
        self.proven / 1000 * CREDIBLE
    }

    fn queue(&self, round_trip: Duration) -> Duration {
        round_trip.saturating_sub(self.base.takes())
    }

    /// A queueing delay that may be a single burst.
    fn slight(&self) -> Duration {
        let burst = time_of(burst(self.capacity) as u64, self.capacity);
        burst.clamp(TARGET / 4, TARGET / 4 * 3)
    }

    /// Whether the capacity may be far too low, so that the pace grows quickly.
    fn grows(&self) -> bool {
        self.short > 1 && self.base.depth().is_none()
    }

    fn set_pace(&mut self, sample: Sample) -> u64 {
        self.last_pace = self.pace;
        self.pace = self.next_pace(sample);
        self.pace
    }

    fn next_pace(&self, sample: Sample) -> u64 {
        // The queue now: data that was sent during the round trip has joined it, and the line has carried some. If the
        // answer was delayed at the server, the line has carried more, and the queue is overestimated.
        let came = time_of(sample.sent.saturating_sub(sample.sent_before), self.capacity);
        let queue = (self.queue(sample.round_trip) + came).saturating_sub(sample.round_trip);
        // An excess drains within a third of a second.
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

impl SocketState {
    /// Whether uploads are to be paced from now on.
    fn needs_pace(self, round_trip: Duration, best: Duration) -> bool {
        let queued = round_trip.saturating_sub(best);
        match self {
            // On a fast line, a socket is full for a moment now and then.
            Self::Full => queued > TARGET,
            Self::Room => false,
            // A session that was opened on a full line knows no shorter round trip, so a socket that was full is
            // evidence enough; but not on a LAN, where every socket is full at some time.
            Self::Unknown(took) => took.is_some() && best >= LAN || queued > 2 * TARGET,
        }
    }

    fn took(self) -> Option<u64> {
        match self {
            Self::Unknown(took) => took,
            Self::Full | Self::Room => None,
        }
    }
}

impl Sample {
    fn answered(&self) -> Instant {
        self.asked + self.round_trip
    }
}

/// The number of bytes that are sent at once, at a pace in bytes a second.
pub(super) fn burst(pace: u64) -> usize {
    in_time(pace, BURST).max(LEAST_BURST).min(in_time(pace, TARGET))
}

/// The time that a line of this capacity, in bytes a second, takes for some bytes.
fn time_of(bytes: u64, capacity: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / capacity.max(1))
}

/// The milliseconds by which one time exceeds another.
fn beyond(longer: Duration, shorter: Duration) -> u64 {
    micros(longer.saturating_sub(shorter)) / 1000
}

impl Span {
    /// The bandwidth of the line, in bytes a second: what was sent, less what joined the queue, plus what left it.
    fn carried(&self) -> u64 {
        let Self { took, delivered, before, after } = *self;
        let emptied = (took + after).saturating_sub(before).max(took / 2);
        delivered * micros(took) / micros(emptied).max(1)
    }
}

/// The bandwidth of the line, in bytes a second, by the first span of an upload, whose beginning may be idle.
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

/// The queueing delay to keep, so that the line is never idle.
const TARGET: Duration = Duration::from_millis(20);
/// The size of a burst, as time on the line.
const BURST: Duration = Duration::from_millis(5);
/// The smallest burst in bytes, unless the line takes longer than [`TARGET`] for it: headers take bandwidth, too.
const LEAST_BURST: usize = 4 << 10;
/// The largest reduction of the pace to drain a queue, in thousandths of the capacity.
const STEEPEST: u64 = 500;
/// The unit of quick growth, in thousandths of the capacity: the increase doubles with each sample without a queue, from
/// 60 to 480.
const GROWTH: u64 = 15;
/// The pace in a usual look at the base, in thousandths of the capacity.
const SLIGHTLY: u64 = 800;
/// The pace in a look that checks whether the queue is our own, in thousandths of the capacity.
const DEEPEST: u64 = 250;
/// The number of consecutive samples with a long queue that does not drain before it is checked whose it is.
const DOUBT: u32 = 2;
/// The part of the proven capacity, in thousandths, below which an estimate needs a look.
const CREDIBLE: u64 = 750;
/// The least rate of an upload that is paced, in bytes a second.
const BULK: u64 = 8 << 10;
/// The longest time between two samples while an upload is paced.
const AGAIN: Duration = Duration::from_millis(200);
/// The shortest time over which a rate is measured at the beginning of an upload.
const SHORTEST_STRETCH: Duration = Duration::from_millis(10);
/// The shortest span between two samples that shows anything.
const LEAST_SPAN: Duration = Duration::from_millis(100);
/// The longest span that still says something about the present.
const MOST_SPAN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
