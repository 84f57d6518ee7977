//! A line that is sent on.

use super::*;

/// Who tells how far away the queue's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// The server, by its answers to questions.
    Answers,
    /// The kernel, by what was acknowledged.
    Kernel,
}

/// A line with a queue before it, and a sender with more than it carries.
pub(super) struct Uplink {
    feed: Feed,
    /// What had been sent and carried at the end of each millisecond, in bytes.
    history: Vec<(u64, u64)>,
    pub(super) now: Instant,
    pub(super) pacer: Pacer,
    pub(super) pace: Option<u64>,
    pub(super) capacity: u64,
    /// In bytes.
    pub(super) queue: u64,
    pub(super) most: u64,
    sent: u64,
    /// What the pace allows and was not sent yet, in bytes.
    saved: u64,
    pub(super) carried: u64,
    /// What others have in the queue, as time.
    pub(super) foreign: Duration,
    held_back: bool,
    /// What every fourth answer waits for besides the line, and how many there were.
    pub(super) late: Duration,
    answers: u32,
    /// How many came while the queue was doubted to be one's own.
    pub(super) doubted: u32,
    pub(super) best_known: Duration,
    pub(super) rate: Option<u64>,
    /// When the server was asked, what had been sent, and what the answer takes.
    question: Option<(Instant, u64, Duration)>,
    next: Instant,
    stretch: Stretch,
}

impl Uplink {
    pub(super) fn new(capacity: u64) -> Self {
        Self::fed(Feed::Answers, capacity)
    }

    pub(super) fn fed(feed: Feed, capacity: u64) -> Self {
        let now = Instant::now();
        Self {
            feed,
            history: vec![(0, 0)],
            now,
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
            late: Duration::ZERO,
            answers: 0,
            doubted: 0,
            best_known: BEST,
            rate: None,
            question: None,
            next: now,
            stretch: Stretch { since: now, ..Stretch::default() },
        }
    }

    /// Sends for a time, and asks again some time after each answer. Returns the longest queue, as
    /// time.
    pub(super) fn send_for(&mut self, seconds: u64) -> Duration {
        self.send_for_millis(seconds * 1000)
    }

    /// Sends nothing, from the answer to a question until so long after the next one.
    pub(super) fn idle_for(&mut self, millis: u64) {
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
            self.pacer.answered(sample, self.best_known, self.socket());
            self.now += Duration::from_millis(millis);
        }
        self.stretch.since = self.now;
        self.next = self.now + UNPACED - Duration::from_millis(millis);
    }

    /// Sends until the first queue is noticed.
    pub(super) fn send_until_paced(&mut self) {
        while self.pace.is_none() {
            self.send_for_millis(1);
        }
    }

    pub(super) fn send_for_millis(&mut self, millis: u64) -> Duration {
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
            let arrived = self.history.last().map_or(0, |&(_, arrived)| arrived) + carries;
            self.history.push((self.sent, arrived));
            let queued = Duration::from_micros(self.queue * 1_000_000 / self.capacity);
            longest = longest.max(queued);
            if self.feed == Feed::Kernel {
                if self.now >= self.next {
                    self.acknowledge();
                }
                continue;
            }
            match self.question {
                Some((asked, sent_before, round_trip)) if self.now >= asked + round_trip => {
                    let held_back = std::mem::take(&mut self.held_back);
                    let sent = self.sent;
                    let stretch = self.stretch;
                    let sample =
                        Sample { asked, sent_before, stretch, round_trip, sent, held_back };
                    self.answered(sample);
                    self.question = None;
                }
                None if self.now >= self.next => {
                    let late = if self.answers % 4 == 3 { self.late } else { Duration::ZERO };
                    let round_trip = BEST + queued + self.foreign + late;
                    self.question = Some((self.now, self.sent, round_trip));
                }
                _ => {}
            }
        }
        longest
    }

    fn answered(&mut self, sample: Sample) {
        self.pace = self.pacer.answered(sample, self.best_known, self.socket());
        let unpaced = if self.feed == Feed::Kernel { AGAIN } else { UNPACED };
        self.next = self.now + self.pace.map_or(unpaced, |_| self.pacer.again());
        self.answers += 1;
        self.doubted += u32::from(self.doubts());
    }

    /// The socket is full as long as the sender has no pace.
    fn socket(&self) -> SocketState {
        match self.feed {
            Feed::Answers => SocketState::Unknown(self.rate),
            Feed::Kernel if self.pace.is_none() => SocketState::Full,
            Feed::Kernel => SocketState::Room,
        }
    }

    /// The kernel tells what has been acknowledged, and how long ago that was sent.
    fn acknowledge(&mut self) {
        let back = usize::try_from((BEST + self.foreign).as_millis()).expect("not long");
        let (_, arrived) = self.history[self.history.len().saturating_sub(back + 1)];
        let sent_at = self.history.partition_point(|&(sent, _)| sent < arrived);
        let round_trip = Duration::from_millis((self.history.len() - 1 - sent_at) as u64);
        let sample = Sample {
            asked: self.now - round_trip,
            sent_before: arrived,
            stretch: self.stretch,
            round_trip,
            sent: self.sent,
            held_back: std::mem::take(&mut self.held_back),
        };
        self.answered(sample);
    }

    fn doubts(&self) -> bool {
        let control = self.pacer.control.as_ref();
        control.is_some_and(|control| control.base.depth() == Some(Depth::Doubting))
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
    pub(super) fn used(&mut self, seconds: u64) -> u64 {
        let carried = std::mem::take(&mut self.carried);
        carried * 100 / (self.capacity * seconds)
    }
}

pub(super) const BEST: Duration = Duration::from_millis(30);
const UNPACED: Duration = Duration::from_millis(500);
