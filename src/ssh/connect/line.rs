//! What downloads have shown of the line to a server, and the window that follows from it.
//!
//! A download moves at most one window in a round trip: with a smaller one it is slower than the line.
//! With a larger one, what the line does not carry lies in the server's buffers, before everything else
//! that is to come on the session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was learnt of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// What it carries, in bytes a second; none before a download was slower than its window allows.
    rate: Option<u64>,
    /// The largest window, in bytes, that was the limit of a download; none where the line was it.
    too_small: Option<u32>,
    /// A window that seemed to be, in the last sample.
    #[serde(skip)]
    doubtful: Option<u32>,
}

/// What a session has carried in a while, beside what its server's answers took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// What the session received, in bytes a second.
    pub(crate) received: u64,
    /// The same of its busiest channel.
    pub(crate) busiest: u64,
    /// What an answer took then,
    pub(crate) round_trip: Duration,
    /// and what it takes where nothing else is on its way.
    pub(crate) best: Duration,
    /// In bytes.
    pub(crate) window: u32,
    pub(crate) upload: Upload,
}

/// Whether much has been sent to the server, on whichever session, shortly before: answers are late by the
/// queue on the way there, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    None,
    Running,
}

impl Line {
    /// The window for a server that is so far away, in bytes: twice what is on its way at the line's
    /// rate, since the library gives back half a window at a time, and some for a line that is shared.
    pub(crate) fn window(self, round_trip: Option<Duration>) -> u32 {
        let of_rate = self.rate.zip(round_trip).map(|(rate, round_trip)| {
            let on_the_way = u128::from(rate) * round_trip.as_micros() / 1_000_000;
            u32::try_from(on_the_way * 5 / 2).unwrap_or(u32::MAX).max(LEAST)
        });
        let larger = self.too_small.map(|window| window.saturating_mul(STEP));
        of_rate.max(larger).unwrap_or(FIRST).min(MOST)
    }

    /// Takes note of a sample. Returns whether it has changed what is known by much.
    pub(crate) fn learn(&mut self, sample: Sample) -> bool {
        let before = *self;
        let doubtful = self.doubtful.take();
        match sample.limit() {
            Limit::Line => {
                self.too_small = None;
                self.rate = Some(match self.rate {
                    Some(rate) if rate > sample.received => rate - (rate - sample.received) / 16,
                    _ => sample.received,
                });
            }
            // The line is far from full, and how much it carries is not known. What a busy machine
            // takes late seems to be faster once, and not twice in a row.
            Limit::Window if sample.is_calm() && doubtful != Some(sample.window) => {
                self.doubtful = Some(sample.window);
            }
            Limit::Window if sample.is_calm() => {
                self.too_small = self.too_small.max(Some(sample.window));
            }
            Limit::Window => {
                self.too_small = None;
                self.rate = self.rate.max(Some(sample.received));
            }
            Limit::Unknown => {}
        }
        let rate = |line: Self| line.rate.unwrap_or(0);
        let (low, high) = (rate(before).min(rate(*self)), rate(before).max(rate(*self)));
        self.too_small != before.too_small || high > low + low / 4
    }
}

/// What kept a download from being faster.
enum Limit {
    Line,
    /// A whole window was in flight all the time.
    Window,
    Unknown,
}

impl Sample {
    fn limit(&self) -> Limit {
        let Self { busiest, round_trip, best, window, upload, .. } = *self;
        let carried_in = |time: Duration| u128::from(busiest) * time.as_micros() / 1_000_000;
        let queued = round_trip > best * 3 / 2 + WAVERING;
        // Who has sent little ahead has not made a queue, and an upload may have.
        if queued && upload == Upload::None && carried_in(round_trip) >= u128::from(LEAST / 2) {
            Limit::Line
        } else if !queued && carried_in(best) * 5 / 3 >= u128::from(window) && window < MOST {
            // The shortest round trip counts: the present one includes queueing, by which every window
            // would be too small.
            Limit::Window
        } else {
            Limit::Unknown
        }
    }

    /// Whether nothing is queued, as far as can be told.
    fn is_calm(&self) -> bool {
        self.round_trip <= self.best * 9 / 8 + SLIGHT
    }
}

/// As OpenSSH's, before anything is known. In bytes.
const FIRST: u32 = 2 << 20;
/// Below this a download stops and goes. In bytes.
const LEAST: u32 = 192 << 10;
/// Enough for 640 MB/s at a round trip of 100 ms. In bytes.
const MOST: u32 = 64 << 20;
/// How many times as large the next window is where one was the limit.
const STEP: u32 = 8;
/// By how much an answer may be late without there being a queue.
const WAVERING: Duration = Duration::from_millis(20);
/// By how much at the most where nothing is queued at all, besides an eighth.
const SLIGHT: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut line = Line::default();
        assert!(line.learn(HOME));
        assert!(!line.learn(HOME), "that is no news");
        assert_eq!(line.window(Some(HOME.best)), LEAST);
        assert_eq!(line.window(Some(Duration::from_millis(300))), 1_250_000 * 3 / 10 * 5 / 2);
    }

    #[test]
    fn a_far_line_that_is_not_filled_gets_a_larger_one_step_by_step() {
        let mut line = Line::default();
        let far = Duration::from_millis(100);
        for window in [FIRST, 16 << 20] {
            let busiest = u64::from(window) * 8;
            let sample =
                Sample { received: busiest, busiest, round_trip: far, best: far, window, ..HOME };
            assert!(!line.learn(sample), "once is nothing");
            assert!(line.learn(sample));
            assert_eq!(line.window(Some(far)), window.saturating_mul(STEP).min(MOST));
        }
        assert!(line.learn(Sample { round_trip: far * 3, best: far, ..HOME }));
        assert_eq!(line.window(Some(far)), 1_250_000 / 4, "it was the line after all");
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
        let mut line = Line::default();
        assert!(line.learn(full));
        let window = line.window(Some(full.best));
        assert_eq!(window, 312_500);
        // It fills the line, and makes no queue that could be told from wavering.
        for round_trip in [12, 15, 20, 25, 30].map(Duration::from_millis) {
            assert!(!line.learn(Sample { round_trip, window, ..full }), "{round_trip:?}");
            assert_eq!(line.window(Some(full.best)), window);
        }
    }

    #[test]
    fn a_download_whose_server_is_slow_teaches_nothing() {
        let mut line = Line::default();
        let calm = HOME.best;
        assert!(!line.learn(Sample { round_trip: calm, ..HOME }));
        assert!(!line.learn(Sample { busiest: 20_000, ..HOME }), "an upload has made the queue");
        assert_eq!(line, Line::default());
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
            let mut line = Line { rate, ..Line::default() };
            assert!(line.learn(sample));
            assert_eq!(line.window(Some(best)), 5_800_000 * 3 / 100 * 5 / 2);
        }
    }

    #[test]
    fn the_queue_of_an_upload_makes_no_line_slower() {
        let mut line = Line { rate: Some(5_000_000), ..Line::default() };
        let beside = Sample { upload: Upload::Running, ..HOME };
        assert!(!line.learn(beside));
        assert_eq!(line.rate, Some(5_000_000));
        line.learn(HOME);
        assert!(line.rate < Some(5_000_000));
    }

    #[test]
    fn a_line_that_has_become_slower_is_believed_after_a_while() {
        let mut line = Line { rate: Some(10_000_000), ..Line::default() };
        line.learn(HOME);
        assert!(line.rate > Some(9_000_000), "once is nothing");
        for _ in 0..100 {
            line.learn(HOME);
        }
        assert!(line.rate < Some(1_300_000));
    }
}
