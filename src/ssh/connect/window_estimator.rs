//! The channel windows of the sessions to a server, which depend on how far away it is.
//!
//! Near servers get small windows: the data of a window is buffered in front of everything else on its session, and
//! OpenSSH's server copies unsent data around in memory. Over loopback on two busy cores, 256 KiB instead of 4 MiB took
//! the 99th percentile of a ping beside four downloads from 24 to 7 ms, and that of short connections beside a download
//! on the same session that is not read from 30 to 13 ms. A single download lost up to a tenth of its speed.
//! The windows of far servers depend on the [line](super::line::Line).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::timeout;

use super::line::{Learner, Sample, Upload};
use super::line_memory::LineMemory;
use crate::lock::lock;
use crate::ssh::session::atomic_time::AtomicDuration;
use crate::ssh::session::delay::{LAN, is_queued};
use crate::ssh::session::recent::Traffic;

/// What is known of the distance and the line to one server, from all of its sessions.
#[derive(Debug, Default)]
pub(crate) struct WindowEstimator {
    was_near: AtomicBool,
    // The shortest time: a longer one only shows that this machine or the server was busy.
    connecting: AtomicDuration,
    round_trip: AtomicDuration,
    line: Mutex<Learner>,
    /// The last upload, and when it was seen.
    uploaded: Mutex<Option<(Instant, Upload)>>,
    /// When there was traffic.
    carried: Mutex<Option<Instant>>,
    /// The store of lines.
    memory: LineMemory,
    /// The server's name in the store.
    server: String,
}

impl WindowEstimator {
    /// The estimator of a server, with what `memory` knows of its line.
    pub(crate) fn of(server: String, memory: LineMemory) -> Self {
        let line = Mutex::new(Learner::of(memory.recall(&server)));
        Self { line, memory, server, ..Self::default() }
    }

    /// The window in bytes for the channels of a session over `stream`. russh needs it before the handshake and cannot
    /// change it later.
    ///
    /// A server is near if its first byte arrives within [`NEAR`]. The time to connect estimates the round trip; if a
    /// relay on this machine accepted the connection, the round trips of earlier sessions correct it. A server that was
    /// near and answers slowly may only be busy. One that waits for the client's first byte counts as far.
    pub(crate) async fn window(
        &self,
        stream: &mut (impl AsyncBufRead + Unpin),
        connecting: Option<Duration>,
    ) -> u32 {
        // The data stays in the buffer. The handshake reports an end or an error.
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

    /// The shortest round trip, if one was measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.get()
    }

    /// Takes note of the rate at which a session has just sent, in bytes a second. `base` is its round trip without the
    /// queue of that upload, if the upload has a pace.
    pub(crate) fn sent(&self, rate: u64, base: Option<Duration>) {
        if rate >= NOTABLE {
            let upload = base.map_or(Upload::Running, |base| Upload::Paced { base });
            *lock(&self.uploaded) = Some((Instant::now(), upload));
        }
    }

    /// The upload, on any session, that may have delayed answers.
    pub(crate) fn upload(&self) -> Upload {
        match *lock(&self.uploaded) {
            Some((at, upload)) if at.elapsed() < LATER => upload,
            _ => Upload::None,
        }
    }

    /// Takes note of the rate at which a session has just carried data either way, in bytes a second. Returns the
    /// traffic of all sessions.
    pub(crate) fn carried(&self, rate: u64) -> Traffic {
        let mut carried = lock(&self.carried);
        if rate >= NOTABLE {
            *carried = Some(Instant::now());
        }
        match *carried {
            Some(at) if at.elapsed() < LATER => Traffic::Some,
            _ => Traffic::None,
        }
    }

    /// Takes note of the shortest round trip of the last minutes. The path may have become longer.
    pub(crate) fn measured_lately(&self, round_trip: Duration) {
        if self.round_trip.get().is_some_and(|best| is_queued(round_trip, best)) {
            self.round_trip.set(round_trip);
        }
    }

    /// Takes note of what a session has just carried.
    pub(crate) fn learn(&self, sample: Sample) {
        if sample.best < LAN {
            return;
        }
        // A session that was opened on a full line has not seen the shortest round trip.
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

    /// Whether a session with this window, in bytes, should be replaced: it is smaller than two thirds of the wanted one,
    /// and so too slow, or larger than four thirds, and so delays others. For a near server only a window below a third
    /// is unfit: a third is enough for 170 MB/s, and more is not worth another login.
    pub(crate) fn is_unfit(&self, window: u32) -> bool {
        let Some(round_trip) = self.round_trip.get() else { return false };
        let wanted = self.wanted(self.was_near.load(Relaxed));
        if round_trip < LAN {
            return window < wanted / 3;
        }
        window < wanted / 3 * 2 || is_too_large(window, wanted)
    }

    /// The window in bytes to use instead of `window`: a smaller one if that is so large that it delays others. It may be
    /// smaller than any channel's window, since russh's granularity does not matter to the socket.
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

    /// Forgets the distance, since the network may have changed.
    pub(crate) fn forget(&self) {
        self.was_near.store(false, Relaxed);
        self.connecting.clear();
        self.round_trip.clear();
    }
}

/// Whether a window, in bytes, is so large that it delays others.
fn is_too_large(window: u32, wanted: u32) -> bool {
    window / 4 * 3 > wanted
}

/// The window in bytes for 512 MB/s, at least [`LEAST_WINDOW`].
fn near_window(round_trip: Duration) -> u32 {
    let window = round_trip.as_micros().saturating_mul(512);
    u32::try_from(window).unwrap_or(u32::MAX).max(LEAST_WINDOW)
}

/// The longest time to a near server's first byte: a round trip, and `sshd` starting a process.
const NEAR: Duration = Duration::from_millis(25);
/// The smallest window of a near server in bytes: four of the largest packets. Over loopback, eight downloads on one
/// session reach 506 MB/s with it, and 455 MB/s with half of it.
const LEAST_WINDOW: u32 = 256 << 10;
/// The smallest limit for the socket in bytes: a few dozen segments, so that later ones reveal the loss of one.
const LEAST_FITTING: u32 = 64 << 10;
/// The least rate, in bytes a second, of traffic that causes a queue worth considering.
const NOTABLE: u64 = 16 << 10;
/// How long an upload may still delay answers: the queue has to drain, and an answer may be on its way.
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

    #[test]
    fn a_path_that_has_become_longer_needs_a_larger_window() {
        let line = Learner::of(serde_json::from_str(r#"{"rate": 6250000}"#).expect("a line"));
        let windows = WindowEstimator { line: Mutex::new(line), ..WindowEstimator::default() };
        let [best, wavering, longer] = [30, 60, 150].map(Duration::from_millis);
        windows.measured(best);
        assert_eq!(windows.wanted(false), 468_750);
        windows.measured_lately(wavering);
        assert_eq!(windows.round_trip(), Some(best));
        windows.measured_lately(longer);
        assert_eq!(windows.wanted(false), 468_750 * 5);
        assert!(windows.is_unfit(468_750));
        windows.measured(best);
        assert_eq!(windows.round_trip(), Some(best), "it was a queue of others");
    }

    #[test]
    fn traffic_on_any_session_may_have_made_a_queue() {
        let windows = WindowEstimator::default();
        assert_eq!(windows.carried(NOTABLE - 1), Traffic::None);
        assert_eq!(windows.carried(NOTABLE), Traffic::Some);
        assert_eq!(windows.carried(0), Traffic::Some, "it has to drain");
        *lock(&windows.carried) = Instant::now().checked_sub(LATER);
        assert_eq!(windows.carried(0), Traffic::None);
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
        windows.sent(NOTABLE - 1, None);
        assert_eq!(windows.upload(), Upload::None);
        windows.sent(NOTABLE, None);
        assert_eq!(windows.upload(), Upload::Running);
        let base = Duration::from_millis(70);
        windows.sent(NOTABLE, Some(base));
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
