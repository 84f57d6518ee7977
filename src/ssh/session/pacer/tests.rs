use super::*;

mod answers;

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
    /// What every fourth answer waits for besides the line, and how many there were.
    late: Duration,
    answers: u32,
    /// How many came while the queue was doubted to be one's own.
    doubted: u32,
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
            late: Duration::ZERO,
            answers: 0,
            doubted: 0,
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
                    self.answers += 1;
                    self.doubted += u32::from(self.doubts());
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

    fn doubts(&self) -> bool {
        let look = self.pacer.control.as_ref().map(|control| control.look);
        matches!(look, Some(Look::Since(_, Depth::Doubting)))
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
    line.pacer.control.as_mut().expect("an upload").look = Look::Since(now, Depth::Usual);
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

#[test]
fn an_upload_is_not_starved_by_the_queue_of_others() {
    for capacity in [250_000, 625_000, 12_500_000] {
        let mut line = Uplink::new(capacity);
        line.send_for(10);
        line.foreign = Duration::from_millis(80);
        line.send_for(3);
        line.used(3);
        line.send_for(10);
        let used = line.used(10);
        assert!(used >= 95, "{used} % of {capacity}");
    }
}

#[test]
fn an_upload_is_not_starved_by_a_queue_of_others_that_comes_and_goes() {
    for capacity in [250_000, 625_000, 12_500_000] {
        let mut line = Uplink::new(capacity);
        line.send_for(10);
        line.used(10);
        for tenth in 0..600 {
            line.foreign = Duration::from_millis(20 + tenth * 7 % 80);
            line.send_for_millis(100);
        }
        let used = line.used(60);
        assert!(used >= 80, "{used} % of {capacity}");
    }
}

#[test]
fn a_pace_that_is_a_little_too_high_is_put_right_without_a_stop() {
    for capacity in [250_000, 625_000, 12_500_000] {
        let mut line = Uplink::new(capacity);
        line.send_for(10);
        let control = line.pacer.control.as_mut().expect("an upload");
        control.capacity = capacity / 100 * 120;
        control.proven = control.capacity;
        (line.doubted, line.carried) = (0, 0);
        line.send_for(3);
        assert_eq!(line.doubted, 0, "at {capacity}");
        let used = line.used(3);
        assert!(used >= 97, "{used} % of {capacity}");
    }
}

#[test]
fn answers_that_wait_at_the_server_stop_no_upload() {
    for capacity in [250_000, 625_000, 12_500_000] {
        let mut line = Uplink::new(capacity);
        line.late = Duration::from_millis(45);
        line.send_for(10);
        line.used(10);
        line.send_for(60);
        let used = line.used(60);
        assert!(used >= 96, "{used} % of {capacity}");
    }
}
