//! The bandwidth of the line to a server, learnt from downloads, and the channel window that it needs.
//!
//! A download moves at most one window per round trip. If the window is too small, the download is slower than the
//! line. If it is too large, the excess waits in the server's buffers, in front of everything else on the session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ssh::session::delay::is_queued;

/// What is known of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The bandwidth in bytes a second; `None` before a download has filled the line.
    rate: Option<u64>,
    /// The largest window, in bytes, that limited a download; `None` if the line is the limit.
    too_small: Option<u32>,
}

/// Learns a line from consecutive samples.
#[derive(Debug, Default)]
pub(crate) struct Learner {
    line: Line,
    last: Option<Shown>,
}

/// The result of the previous sample.
#[derive(Clone, Copy, Debug)]
struct Shown {
    limit: Limit,
    /// The window in bytes.
    window: u32,
    /// The rate of the session in bytes a second.
    received: u64,
}

/// What a session received over a while, and its round trip at that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The rate of the session in bytes a second.
    pub(crate) received: u64,
    /// The rate of its busiest channel in bytes a second.
    pub(crate) busiest: u64,
    /// The current round trip.
    pub(crate) round_trip: Duration,
    /// The round trip without any queue.
    pub(crate) best: Duration,
    /// The window in bytes.
    pub(crate) window: u32,
    pub(crate) upload: Upload,
}

/// A recent upload to the server on any session. Its queue delays answers, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    None,
    Running,
    /// An upload with a pace.
    Paced {
        /// The round trip without its queue.
        base: Duration,
    },
}

impl Line {
    /// The window in bytes at this round trip.
    pub(crate) fn window(self, round_trip: Option<Duration>) -> u32 {
        let of_rate = self.of_rate(round_trip).map(|window| window.max(LEAST));
        let larger = self.too_small.map(|window| larger(window, round_trip));
        of_rate.max(larger).unwrap_or(FIRST).min(MOST)
    }

    /// The window in bytes for the bandwidth: twice the bandwidth-delay product, since russh returns half a window at a
    /// time, and a quarter more for a line that is shared.
    pub(crate) fn of_rate(self, round_trip: Option<Duration>) -> Option<u32> {
        let (rate, round_trip) = self.rate.zip(round_trip)?;
        let on_the_way = u128::from(rate) * round_trip.as_micros() / 1_000_000;
        Some(u32::try_from(on_the_way * 5 / 2).unwrap_or(u32::MAX))
    }
}

impl Learner {
    pub(crate) fn of(line: Line) -> Self {
        Self { line, last: None }
    }

    pub(crate) fn line(&self) -> Line {
        self.line
    }

    /// Takes note of a sample. Returns whether it changes the line noticeably.
    pub(crate) fn learn(&mut self, sample: Sample) -> bool {
        let before = self.line;
        let limit = sample.limit();
        let Sample { window, received, .. } = sample;
        let shown = limit.map(|limit| Shown { limit, window, received });
        let last = std::mem::replace(&mut self.last, shown);
        let again = last.is_some_and(|last| Some(last.limit) == limit && last.window == window);
        // The line carries at least what it has carried twice in a row.
        let carries = last.map_or(0, |last| last.received.min(received));
        match (limit, before.rate) {
            (Some(_), Some(rate)) if rate < carries => self.set_rate(carries),
            (Some(Limit::Line), Some(rate)) if again => {
                self.set_rate(rate - rate.saturating_sub(received) / PATIENCE);
            }
            (Some(Limit::Line | Limit::Window), None) if again => self.set_rate(sample.received),
            (Some(Limit::Window), Some(rate)) if again => self.set_rate(rate + rate / 8),
            (Some(Limit::WindowAlone), None) if again => {
                self.line.too_small = before.too_small.max(Some(sample.window));
            }
            (Some(Limit::WindowAlone), Some(rate)) if again => {
                self.set_rate(rate.max(sample.received * 2));
            }
            _ => {}
        }
        let rate = |line: Line| line.rate.unwrap_or(0);
        let (low, high) = (rate(before).min(rate(self.line)), rate(before).max(rate(self.line)));
        self.line.too_small != before.too_small || high > low + low / 4
    }

    fn set_rate(&mut self, rate: u64) {
        self.line = Line { rate: Some(rate), too_small: None };
    }
}

/// The limit of a download. A busy machine can imitate any of them once, but seldom twice in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Line,
    /// The window, on a line that carries hardly more: some data is queued.
    Window,
    /// The window, on a line that is far from full, so that its bandwidth is unknown.
    WindowAlone,
}

impl Sample {
    /// The limit; `None` if there is another one, or if it is unclear.
    fn limit(&self) -> Option<Limit> {
        let Self { busiest, round_trip, best, window, upload, .. } = *self;
        let carried_in = |time: Duration| u128::from(busiest) * time.as_micros() / 1_000_000;
        if is_queued(round_trip, best) {
            // A download with little data in flight has not caused the queue, but an upload may have.
            let is_downward = match upload {
                Upload::None => true,
                Upload::Running => false,
                Upload::Paced { base } => is_queued(base, best),
            };
            let is_own = is_downward && carried_in(round_trip) >= u128::from(LEAST / 2);
            return is_own.then_some(Limit::Line);
        }
        // The current round trip includes queueing, so that every window would seem too small: the shortest one counts.
        // russh returns half a window at a time, so that less than a window is in flight.
        let fills = |part: u128| carried_in(best) * part / 4 >= u128::from(window) && window < MOST;
        if round_trip <= best * 9 / 8 + SLIGHT {
            fills(12).then_some(Limit::WindowAlone)
        } else {
            fills(9).then_some(Limit::Window)
        }
    }
}

/// The window in bytes to try after one that limited a download. A window below [`FIRST`] was chosen for a server that
/// seemed near. The line carries half of it in each round trip, but perhaps hardly more, and then a much larger one would
/// keep the queue full. So the next one holds what the line carries in twice [`QUEUE`], unless the round trip is long, so
/// that the queue adds less to it than the window does.
fn larger(window: u32, round_trip: Option<Duration>) -> u32 {
    let most = window.saturating_mul(STEP);
    let is_short = |round_trip: &Duration| *round_trip < QUEUE / 2;
    match round_trip.filter(is_short) {
        Some(round_trip) if window < FIRST => {
            let carried = u128::from(window) * QUEUE.as_micros() / round_trip.as_micros().max(1);
            u32::try_from(carried).map_or(most, |carried| carried.min(most).min(FIRST))
        }
        _ => most,
    }
}

/// The window in bytes before anything is known, which is OpenSSH's.
const FIRST: u32 = 2 << 20;
/// The divisor by which the bandwidth approaches a lower rate with each sample. The line may be shared with a download of
/// another program, whose queue looks like our own: giving way to it would leave the smallest window.
const PATIENCE: u64 = 256;
/// The smallest window in bytes: with a smaller one, downloads stutter.
const LEAST: u32 = 192 << 10;
/// The largest window in bytes, enough for 640 MB/s at a round trip of 100 ms.
const MOST: u32 = 64 << 20;
/// The largest factor by which a window grows that was the limit.
const STEP: u32 = 8;
/// The queueing delay of a home line, as far as one can be assumed.
const QUEUE: Duration = Duration::from_millis(100);
/// The variation of round trips on an idle line, besides an eighth of the shortest.
const SLIGHT: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::session::delay::WAVERING;

    const HOME: Sample = Sample {
        received: 1_250_000,
        busiest: 1_200_000,
        round_trip: Duration::from_millis(330),
        best: Duration::from_millis(50),
        window: FIRST,
        upload: Upload::None,
    };

    #[test]
    fn the_first_window_is_openssh_s() {
        assert_eq!(Line::default().window(Some(Duration::from_millis(50))), 2 << 20);
        assert_eq!(Line::default().window(None), 2 << 20);
    }

    #[test]
    fn a_slow_line_gets_a_window_for_its_rate_and_round_trip() {
        let mut line = Learner::default();
        assert!(!line.learn(HOME), "once is nothing");
        assert!(line.learn(HOME));
        assert!(!line.learn(HOME), "that is no news");
        assert_eq!(line.line().window(Some(HOME.best)), LEAST);
        assert_eq!(
            line.line().window(Some(Duration::from_millis(300))),
            1_250_000 * 3 / 10 * 5 / 2
        );
    }

    #[test]
    fn a_far_line_that_is_not_filled_gets_a_larger_one_step_by_step() {
        let mut line = Learner::default();
        let far = Duration::from_millis(100);
        for window in [FIRST, 16 << 20] {
            let busiest = u64::from(window) * 8;
            let sample =
                Sample { received: busiest, busiest, round_trip: far, best: far, window, ..HOME };
            assert!(!line.learn(sample), "once is nothing");
            assert!(line.learn(sample));
            assert_eq!(line.line().window(Some(far)), window.saturating_mul(STEP).min(MOST));
        }
        let full = Sample { round_trip: far * 3, best: far, ..HOME };
        assert!(!line.learn(full) && line.learn(full));
        assert_eq!(line.line().window(Some(far)), 1_250_000 / 4, "it was the line after all");
    }

    #[test]
    fn a_line_that_seemed_near_gets_a_window_that_keeps_its_queue_short() {
        let window = 256 << 10;
        for (millis, wanted) in [(10, FIRST), (15, 1_747_626), (30, 873_813), (50, FIRST)] {
            let best = Duration::from_millis(millis);
            // Half of the window is carried in each round trip.
            let received = u64::from(window / 2) * 1000 / millis;
            let sample =
                Sample { received, busiest: received, round_trip: best, best, window, ..HOME };
            let mut line = Learner::default();
            assert!(!line.learn(sample) && line.learn(sample), "{best:?}");
            assert_eq!(line.line().window(Some(best)), wanted, "{best:?}");
        }
    }

    #[test]
    fn the_window_of_a_line_that_is_full_is_not_too_small() {
        let full = Sample {
            received: 12_500_000,
            busiest: 12_500_000,
            round_trip: Duration::from_millis(40),
            best: Duration::from_millis(10),
            ..HOME
        };
        let mut line = Learner::default();
        assert!(!line.learn(full) && line.learn(full));
        let window = line.line().window(Some(full.best));
        assert_eq!(window, 312_500);
        // It fills the line, and makes no queue that could be told from wavering.
        for round_trip in [12, 15, 20, 25, 30].map(Duration::from_millis) {
            assert!(!line.learn(Sample { round_trip, window, ..full }), "{round_trip:?}");
            assert_eq!(line.line().window(Some(full.best)), window);
        }
    }

    #[test]
    fn a_download_whose_server_is_slow_teaches_nothing() {
        let calm = Sample { round_trip: HOME.best, ..HOME };
        // It has not made the queue.
        let small = Sample { busiest: 20_000, ..HOME };
        for sample in [calm, small] {
            let mut line = Learner::default();
            assert!(!line.learn(sample) && !line.learn(sample), "{sample:?}");
            assert_eq!(line.line(), Line::default());
        }
    }

    #[test]
    fn a_window_that_nearly_fills_the_line_grows_to_what_fills_it() {
        let best = Duration::from_millis(30);
        let sample = Sample {
            received: 5_800_000,
            busiest: 5_800_000,
            round_trip: Duration::from_millis(45),
            best,
            window: LEAST,
            ..HOME
        };
        for rate in [None, Some(3_000_000)] {
            let mut line = Learner::of(Line { rate, too_small: None });
            let changes = (0..2).filter(|_| line.learn(sample)).count();
            assert_eq!(changes, 1);
            assert_eq!(line.line().window(Some(best)), 5_800_000 * 3 / 100 * 5 / 2);
        }
    }

    #[test]
    fn a_window_that_was_taken_for_too_small_a_rate_grows_until_it_fills_the_line() {
        let best = Duration::from_millis(15);
        let mut line = Learner::of(Line { rate: Some(5_000_000), too_small: None });
        // It stops and goes: half a window in each round trip, which takes longer by a third.
        for _ in 0..8 {
            let window = line.line().window(Some(best));
            let received = (u64::from(window) * 1000 / 2 / 20).min(37_500_000);
            let round_trip =
                best + Duration::from_millis(if received < 37_500_000 { 1 } else { 9 });
            let sample = Sample { received, busiest: received, round_trip, best, window, ..HOME };
            line.learn(sample);
            line.learn(sample);
        }
        let rate = line.line.rate.expect("it is known");
        assert!((37_500_000..80_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn a_window_that_nearly_fills_the_line_grows_from_what_is_known() {
        let (best, window) = (Duration::from_millis(30), 500_000);
        // It carried no more than that, since the window was the limit.
        let received = 5_000_000;
        let round_trip = best + Duration::from_millis(10);
        let sample =
            Sample { received, busiest: received * 3 / 2, round_trip, best, window, ..HOME };
        let mut line = Learner::of(Line { rate: Some(8_000_000), too_small: None });
        assert!(!line.learn(sample) && !line.learn(sample), "an eighth is no news");
        assert_eq!(line.line.rate, Some(9_000_000));
    }

    #[test]
    fn the_largest_window_is_never_too_small() {
        let far = Duration::from_millis(100);
        let busiest = u64::from(MOST) * 10;
        let sample =
            Sample { received: busiest, busiest, round_trip: far, best: far, window: MOST, ..HOME };
        let mut line = Learner::default();
        assert!(!line.learn(sample) && !line.learn(sample));
        assert_eq!(line.line(), Line::default());
    }

    #[test]
    fn the_queue_of_an_upload_makes_no_line_slower() {
        let mut line = Learner::of(Line { rate: Some(5_000_000), too_small: None });
        let beside = Sample { upload: Upload::Running, ..HOME };
        assert!(!line.learn(beside));
        assert_eq!(line.line.rate, Some(5_000_000));
        line.learn(HOME);
        line.learn(HOME);
        assert!(line.line.rate < Some(5_000_000));
    }

    #[test]
    fn a_queue_that_stays_without_that_of_a_paced_upload_is_a_download_s() {
        for (base, is_its) in
            [(HOME.best, false), (HOME.best + WAVERING, false), (HOME.best * 4, true)]
        {
            let mut line = Learner::default();
            let beside = Sample { upload: Upload::Paced { base }, ..HOME };
            assert!(!line.learn(beside), "once is nothing");
            assert_eq!(line.learn(beside), is_its, "{base:?}");
            assert_eq!(line.line.rate, is_its.then_some(HOME.received));
        }
    }

    #[test]
    fn one_beat_that_came_late_makes_no_faster_line() {
        let best = Duration::from_millis(30);
        let full = Sample { received: 6_200_000, busiest: 6_200_000, best, ..HOME };
        let mut line = Learner::of(Line { rate: Some(6_200_000), too_small: None });
        // What is counted for one beat was carried in a longer time, and is missing in the next.
        for received in [6_200_000, 9_000_000, 3_400_000, 6_200_000, 8_000_000, 4_400_000] {
            line.learn(Sample { received, busiest: received, ..full });
            assert!(line.line.rate <= Some(6_200_000), "{:?}", line.line.rate);
        }
        line.learn(Sample { received: 9_000_000, ..full });
        line.learn(Sample { received: 8_000_000, ..full });
        assert_eq!(line.line.rate, Some(8_000_000));
    }

    #[test]
    fn a_line_that_is_shared_with_others_is_hardly_slower() {
        let mut line = Learner::of(Line { rate: Some(1_250_000), too_small: None });
        let share = Sample { received: 600_000, busiest: 600_000, ..HOME };
        for _ in 0..120 {
            line.learn(share);
        }
        assert!(line.line.rate > Some(1_000_000), "{:?} after a minute", line.line.rate);
    }

    #[test]
    fn a_line_that_has_become_slower_is_believed_after_a_while() {
        let mut line = Learner::of(Line { rate: Some(10_000_000), too_small: None });
        line.learn(HOME);
        assert!(line.line.rate > Some(9_000_000), "once is nothing");
        for _ in 0..2000 {
            line.learn(HOME);
        }
        assert!(line.line.rate < Some(1_300_000));
    }
}
