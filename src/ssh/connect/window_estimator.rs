//! How far away a server is, and so how much it may send ahead on a channel.
//!
//! A near one is better off without much: what a channel may send ahead lies in the buffers before
//! everything else that comes on its session, and OpenSSH's server moves what it cannot send yet about in
//! its memory. Over loopback, on two busy cores, from 4 MiB to 256 KiB: beside four downloads the 99th
//! percentile of a ping went from 24 to 7 ms, and beside a download on the same session that nobody
//! reads that of short connections from 30 to 13 ms, for up to a tenth of a single download's speed.
//! What a far one needs depends on the [line](super::line::Line).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::timeout;

use super::line::{Learner, Sample, Upload};
use super::line_memory::LineMemory;
use crate::lock::lock;
use crate::ssh::session::atomic_time::AtomicDuration;
use crate::ssh::session::delay::LAN;

/// What the connections to one server have shown of how far away it is, and of the line to it.
#[derive(Debug, Default)]
pub(crate) struct WindowEstimator {
    was_near: AtomicBool,
    // The shortest: the others took as long because somebody was busy.
    connecting: AtomicDuration,
    round_trip: AtomicDuration,
    line: Mutex<Learner>,
    /// When much was sent, last, and what it was.
    uploaded: Mutex<Option<(Instant, Upload)>>,
    /// Where the line is kept, and under which name.
    memory: LineMemory,
    server: String,
}

impl WindowEstimator {
    /// Of a server, as far as `memory` knows it.
    pub(crate) fn of(server: String, memory: LineMemory) -> Self {
        let line = Mutex::new(Learner::of(memory.recall(&server)));
        Self { line, memory, server, ..Self::default() }
    }

    /// The window for the channels of a session over `stream`, in bytes. russh fixes it before
    /// the handshake, and takes none after.
    ///
    /// A server is near when its first byte comes within [`NEAR`]. The time to connect estimates the round
    /// trip; where a relay on this machine accepted the connection, the round trips of earlier sessions
    /// correct it. A server that was near and is slow to answer may be busy. One that waits for the
    /// client's first word counts as far.
    pub(crate) async fn window(
        &self,
        stream: &mut (impl AsyncBufRead + Unpin),
        connecting: Option<Duration>,
    ) -> u32 {
        // What has come stays in the buffer. An end or a fault is the handshake's to tell.
        let spoke = timeout(NEAR, stream.fill_buf()).await.is_ok();
        let near_by_then =
            || self.was_near.load(Relaxed) && connecting.is_none_or(|took| took < NEAR);
        let is_known_far = self.round_trip.get().is_some_and(|round_trip| round_trip >= LAN);
        let near = !is_known_far && (spoke || near_by_then());
        if !near && self.was_near.load(Relaxed) {
            self.forget();
        }
        self.was_near.store(near, Relaxed);
        if let Some(connecting) = connecting.filter(|_| near) {
            self.connecting.shorten(connecting);
        }
        self.wanted(near)
    }

    pub(crate) fn measured(&self, round_trip: Duration) {
        self.round_trip.shorten(round_trip);
    }

    /// The shortest round trip, where one was measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.get()
    }

    /// Takes note of what a session has sent in a while, in bytes a second. `base` is what an answer takes without the
    /// queue of that, where it has a pace.
    pub(crate) fn sent(&self, rate: u64, base: Option<Duration>) {
        if rate >= UPLOAD {
            let upload = base.map_or(Upload::Running, |base| Upload::Paced { base });
            *lock(&self.uploaded) = Some((Instant::now(), upload));
        }
    }

    /// Whether answers may be late because of what has been sent.
    pub(crate) fn upload(&self) -> Upload {
        match *lock(&self.uploaded) {
            Some((at, upload)) if at.elapsed() < LATER => upload,
            _ => Upload::None,
        }
    }

    /// Takes note of what a session has carried in a while.
    pub(crate) fn learn(&self, sample: Sample) {
        if sample.best < LAN {
            return;
        }
        // A session that began on a full line knows no better one than that.
        self.round_trip.shorten(sample.best);
        let best = self.round_trip.get().unwrap_or(sample.best);
        let sample = Sample { best, ..sample };
        let line = {
            let mut line = lock(&self.line);
            if !line.learn(sample) {
                return;
            }
            line.line()
        };
        let (memory, server) = (self.memory.clone(), self.server.clone());
        tokio::task::spawn_blocking(move || memory.remember(&server, line));
    }

    /// Whether a session with this window, in bytes, is slower than a new one would be, or in the way of
    /// others: it has less than two thirds of what is wanted, or over four thirds. Near by, less than a third:
    /// that is enough for 170 MB/s, and another login is not worth more.
    pub(crate) fn is_unfit(&self, window: u32) -> bool {
        let Some(round_trip) = self.round_trip.get() else { return false };
        let wanted = self.wanted(self.was_near.load(Relaxed));
        if round_trip < LAN {
            return window < wanted / 3;
        }
        window < wanted / 3 * 2 || is_too_large(window, wanted)
    }

    /// The window that would do in the place of this one, both in bytes: the same unless it holds what is in the way of
    /// others. Where it is not russh that gives it back, it may be smaller than a channel's.
    pub(crate) fn fitting(&self, window: u32) -> u32 {
        let round_trip = self.round_trip.get().filter(|&round_trip| round_trip >= LAN);
        let of_rate = lock(&self.line).line().of_rate(round_trip);
        let fitting = of_rate.map(|fitting| fitting.max(LEAST_FITTING));
        fitting.filter(|&fitting| is_too_large(window, fitting)).unwrap_or(window)
    }

    fn wanted(&self, near: bool) -> u32 {
        let round_trip = self.connecting.get().max(self.round_trip.get());
        match round_trip {
            Some(round_trip) if near && round_trip < LAN => near_window(round_trip),
            round_trip => lock(&self.line).line().window(round_trip),
        }
    }

    /// The network may be another one: what was known of it counts no more.
    pub(crate) fn forget(&self) {
        self.was_near.store(false, Relaxed);
        self.connecting.clear();
        self.round_trip.clear();
    }
}

/// Whether a window, in bytes, holds what is in the way of others.
fn is_too_large(window: u32, wanted: u32) -> bool {
    window / 4 * 3 > wanted
}

/// Enough for 512 MB/s, but no less than [`LEAST_WINDOW`].
fn near_window(round_trip: Duration) -> u32 {
    let window = round_trip.as_micros().saturating_mul(512);
    u32::try_from(window).unwrap_or(u32::MAX).max(LEAST_WINDOW)
}

/// The longest time to a near server's first byte: a round trip, and `sshd` starting a process.
const NEAR: Duration = Duration::from_millis(25);
/// Four of the largest packets. With half of that, eight downloads on one session came to 455 MB/s over
/// loopback, with this to 506. In bytes.
const LEAST_WINDOW: u32 = 256 << 10;
/// A few dozen segments, so that a lost one is noticed by those that follow. In bytes.
const LEAST_FITTING: u32 = 64 << 10;
/// Whoever sends less, in bytes a second, makes no queue that matters.
const UPLOAD: u64 = 16 << 10;
/// An answer may have been waited for so long, and the queue may take so long to go.
const LATER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, BufReader, duplex};

    use super::*;

    const FIRST_WINDOW: u32 = 2 << 20;

    #[tokio::test]
    async fn who_speaks_at_once_is_near_and_who_waits_is_far() {
        let (silent, _server) = duplex(64);
        let (speaks, mut server) = duplex(64);
        server.write_all(b"SSH-2.0-x\r\n").await.expect("room");
        let (mut silent, mut speaks) = (BufReader::new(silent), BufReader::new(speaks));

        let (soon, late) = (Some(Duration::ZERO), Some(NEAR));
        let windows = WindowEstimator::default();
        assert_eq!(windows.window(&mut silent, soon).await, FIRST_WINDOW, "nothing is known of it");
        assert_eq!(windows.window(&mut speaks, soon).await, LEAST_WINDOW, "as near as it gets");
        assert_eq!(speaks.buffer(), b"SSH-2.0-x\r\n", "nothing is lost");
        assert_eq!(windows.window(&mut silent, soon).await, LEAST_WINDOW, "it may be busy");
        assert_eq!(windows.window(&mut silent, late).await, FIRST_WINDOW, "it may have moved");
        assert_eq!(windows.window(&mut silent, soon).await, FIRST_WINDOW);
    }

    #[tokio::test]
    async fn a_relay_on_this_machine_is_found_out_by_the_first_session() {
        let (client, mut server) = duplex(64);
        server.write_all(b"SSH-2.0-x\r\n").await.expect("room");
        let mut client = BufReader::new(client);
        let soon = Some(Duration::from_micros(100));
        let windows = WindowEstimator::default();
        let window = windows.window(&mut client, soon).await;
        assert_eq!(window, LEAST_WINDOW);
        assert!(!windows.is_unfit(window), "nothing is known of it");

        let other = WindowEstimator::default();
        other.window(&mut client, soon).await;
        other.measured(Duration::from_micros(1500));
        assert!(!other.is_unfit(window), "it is not much farther than it seemed");
        windows.measured(Duration::from_micros(3900));
        assert!(windows.is_unfit(window));
        let window = windows.window(&mut client, soon).await;
        assert_eq!(window, 3900 * 512);
        assert!(!windows.is_unfit(window));
        windows.measured(Duration::from_millis(9));
        assert!(!windows.is_unfit(window), "it was busy");

        let by_a_program = windows.window(&mut client, None).await;
        assert_eq!(by_a_program, window);
        assert_eq!(WindowEstimator::default().window(&mut client, None).await, FIRST_WINDOW);
    }

    #[tokio::test]
    async fn what_is_known_of_a_far_server_outlasts_a_quick_word() {
        let (silent, _server) = duplex(64);
        let (speaks, mut server) = duplex(64);
        server.write_all(b"SSH-2.0-x\r\n").await.expect("room");
        let (mut silent, mut speaks) = (BufReader::new(silent), BufReader::new(speaks));
        let windows = WindowEstimator::default();
        windows.measured(Duration::from_millis(20));
        let late = Some(NEAR);
        assert_eq!(windows.window(&mut speaks, late).await, FIRST_WINDOW);
        assert_eq!(windows.window(&mut silent, late).await, FIRST_WINDOW);
        assert_eq!(windows.round_trip.get(), Some(Duration::from_millis(20)));
    }

    #[tokio::test]
    async fn a_machine_that_is_busy_makes_no_server_farther_and_another_network_may() {
        let (client, mut server) = duplex(64);
        server.write_all(b"SSH-2.0-x\r\n").await.expect("room");
        let mut client = BufReader::new(client);
        let (quiet, busy) = (Some(Duration::from_millis(1)), Some(Duration::from_millis(3)));
        let windows = WindowEstimator::default();
        assert_eq!(windows.window(&mut client, quiet).await, 1000 * 512);
        windows.measured(Duration::from_micros(700));
        assert_eq!(windows.window(&mut client, busy).await, 1000 * 512);
        windows.forget();
        assert_eq!(windows.window(&mut client, busy).await, 3000 * 512);
    }

    #[tokio::test]
    async fn the_first_window_is_too_large_for_fibre() {
        let windows = WindowEstimator::default();
        let best = Duration::from_millis(15);
        windows.measured(best);
        let queued = Sample {
            received: 37_500_000,
            busiest: 37_500_000,
            round_trip: best * 4,
            best,
            window: FIRST_WINDOW,
            upload: Upload::None,
        };
        windows.learn(queued);
        windows.learn(queued);
        assert_eq!(windows.wanted(false), 1_406_250);
        for (window, is_unfit) in [
            (FIRST_WINDOW, true),
            (1_800_000, false),
            (1_406_250, false),
            (1_000_000, false),
            (900_000, true),
        ] {
            assert_eq!(windows.is_unfit(window), is_unfit, "{window}");
        }
    }

    #[test]
    fn an_upload_counts_for_a_while_and_with_its_pace_if_it_has_one() {
        let windows = WindowEstimator::default();
        windows.sent(UPLOAD - 1, None);
        assert_eq!(windows.upload(), Upload::None);
        windows.sent(UPLOAD, None);
        assert_eq!(windows.upload(), Upload::Running);
        let base = Duration::from_millis(70);
        windows.sent(UPLOAD, Some(base));
        assert_eq!(windows.upload(), Upload::Paced { base });
    }

    #[tokio::test]
    async fn a_session_whose_window_does_not_suit_the_line_is_unfit() {
        let windows = WindowEstimator::default();
        let best = Duration::from_millis(50);
        windows.measured(best);
        assert!(!windows.is_unfit(FIRST_WINDOW));
        let rate = 1_250_000;
        let sample = Sample {
            received: rate,
            busiest: rate,
            round_trip: best,
            best,
            window: 64 << 10,
            upload: Upload::None,
        };
        windows.learn(sample);
        windows.learn(sample);
        assert!(windows.is_unfit(64 << 10), "a larger one is faster");
        let queued = Sample { round_trip: best * 4, ..sample };
        windows.learn(queued);
        windows.learn(queued);
        assert!(windows.is_unfit(FIRST_WINDOW), "what it holds is in the way of others");
        let fitting = windows.fitting(FIRST_WINDOW);
        assert!((100_000..400_000).contains(&fitting), "{fitting}");
        assert_eq!(windows.fitting(fitting), fitting);
        assert_eq!(windows.fitting(64 << 10), 64 << 10, "it is no larger for that");
        assert!(!windows.is_unfit(LEAST_WINDOW));
        // Another session has known a better round trip.
        let (wanted, late) = (windows.wanted(false), best * 3);
        let crowded = Sample { best: late, round_trip: late, window: LEAST_WINDOW, ..sample };
        windows.learn(crowded);
        windows.learn(crowded);
        assert_eq!(windows.wanted(false), wanted);
        windows.learn(Sample { best: Duration::from_micros(200), ..sample });
        assert!(!windows.is_unfit(LEAST_WINDOW), "on a LAN there is nothing to learn");
    }
}
