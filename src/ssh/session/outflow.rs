//! Bounds the data that is queued towards the server in front of the next keystroke.
//!
//! russh accepts all data that it is given, writes it in one go, and reads nothing while the socket is full. So the
//! transport buffers all of it, and a bulk sender waits until the buffer is empty: it sends one piece at a time, which is
//! as large as the line carries in [`AHEAD`]. A bulk sender also keeps to the [pace](Pacer), in smaller pieces.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep_until;
use tracing::trace;

use super::atomic_time::{AtomicDuration, Clock, micros};
use super::pacer::{Pacer, Sample, SocketState, Stretch, burst};
use crate::lock::lock;
use crate::stream::options::Delivery;

/// The outgoing data of one session.
#[derive(Debug, Default)]
pub(crate) struct Outflow {
    clock: Clock,
    /// The number of times that russh has handed over all of its data.
    rounds: AtomicU64,
    /// The bytes that russh may have been given since.
    granted: AtomicU64,
    /// The bytes that the transport buffers because the socket is full.
    kept: AtomicUsize,
    /// The time since which the transport buffers data.
    kept_since: AtomicDuration,
    /// What the socket takes while it is full, in bytes a second; 0 if it never was.
    rate: AtomicU64,
    /// The bytes written to the stream.
    sent: AtomicU64,
    /// The time of the last write.
    last_took: AtomicDuration,
    /// The data that has been sent without a [`PAUSE`] since.
    stretch: Mutex<Stretch>,
    /// The time of the ping that is unanswered.
    asked: AtomicDuration,
    /// The bytes sent before that ping.
    sent_before: AtomicU64,
    /// The shortest round trip of the session.
    best: AtomicDuration,
    /// The last time that the kernel's view was of use.
    delivered: AtomicDuration,
    /// The time when the kernel is to be asked next, in microseconds on the clock.
    next_delivery: AtomicU64,
    /// The pace of bulk senders, in bytes a second; 0 for no limit.
    pace: AtomicU64,
    /// The time when the next piece may be sent, in microseconds on the clock.
    next: AtomicU64,
    /// Whether a sender has waited for that since the last sample.
    held_back: AtomicBool,
    pacer: Mutex<Pacer>,
    moved: Notify,
}

/// The state of one sender.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The round after which its last piece was handed over, plus one; 0 if there is none.
    last: AtomicU64,
}

impl Outflow {
    /// Records that russh has handed over all of its data.
    pub(crate) fn handed_over(&self) {
        self.granted.store(0, Relaxed);
        self.rounds.fetch_add(1, SeqCst);
        self.moved.notify_waiters();
    }

    /// Records how many bytes wait for the socket.
    pub(crate) fn keep(&self, bytes: usize) {
        let before = self.kept.swap(bytes, SeqCst);
        if bytes > 0 && before == 0 {
            self.kept_since.set(self.clock.now());
        } else if bytes == 0 && before > 0 {
            self.kept_since.clear();
            self.moved.notify_waiters();
        }
    }

    /// Records that bytes were written to the stream.
    pub(crate) fn took(&self, bytes: usize) {
        let (now, last) = (self.clock.now(), self.last_took.get().unwrap_or_default());
        self.last_took.set(now);
        let was_idle = self.kept.load(Relaxed) == 0 && now.saturating_sub(last) > PAUSE;
        let sent_before = self.sent.fetch_add(bytes as u64, Relaxed);
        if was_idle {
            *lock(&self.stretch) = Stretch { since: self.clock.at(now), sent_before };
        }
    }

    pub(crate) fn asks(&self) {
        self.asked.set(self.clock.now());
        self.sent_before.store(self.given(), Relaxed);
    }

    /// Records the shortest round trip of the session.
    pub(crate) fn set_best(&self, best: Duration) {
        self.best.set(best);
    }

    /// Whether the kernel is to be asked for its view of the sending side.
    pub(crate) fn wants_delivery(&self) -> bool {
        micros(self.clock.now()) >= self.next_delivery.load(Relaxed)
    }

    /// Takes the kernel's view of the sending side, or `None` if it has none.
    ///
    /// It is more precise than answers to pings. These wait behind what the server sends; with an sshd that does not set
    /// `TCP_NODELAY`, they wait for acknowledgements; and a lost segment delays all data after it. The view is of no use if
    /// the peer is a proxy, which shows in a round trip that is too short for the server.
    pub(crate) fn delivered(&self, delivery: Option<Delivery>) {
        let Some(delivery) = delivery else { return self.next_delivery.store(u64::MAX, Relaxed) };
        let (now, round_trip) = (self.clock.now(), delivery.round_trip);
        let again = lock(&self.pacer).again().max(round_trip.min(AGAIN));
        self.next_delivery.store(micros(now + again), Relaxed);
        let Some(best) = self.best.get().filter(|&best| delivery.least >= best / 4 * 3) else {
            return;
        };
        self.delivered.set(now);
        // The last data that is known to have arrived was sent a round trip ago.
        let asked = now.saturating_sub(round_trip);
        let sent_before = self.sent.load(Relaxed).saturating_sub(delivery.outstanding);
        let socket = if delivery.unsent > 0 { SocketState::Full } else { SocketState::Room };
        self.follow(self.sample(asked, sent_before, round_trip), best, socket);
    }

    /// The bytes that russh was given so far.
    fn given(&self) -> u64 {
        let handed_over = self.sent.load(Relaxed) + self.kept.load(Relaxed) as u64;
        handed_over + self.granted.load(Relaxed)
    }

    /// Takes note of an answer to a ping; `best` is the shortest round trip of the session. Returns the time until the
    /// next ping if uploads are paced.
    pub(crate) fn answered(&self, round_trip: Duration, best: Duration) -> Option<Duration> {
        self.set_best(best);
        let recently = |at: Duration| self.clock.now() < at + RECENTLY;
        if self.delivered.get().is_some_and(recently) {
            lock(&self.pacer).saw(round_trip);
        } else {
            let asked = self.asked.get().unwrap_or_default();
            let sent_before = self.sent_before.load(Relaxed);
            let socket = SocketState::Unknown(self.rate());
            self.follow(self.sample(asked, sent_before, round_trip), best, socket);
        }
        (self.pace.load(Relaxed) > 0).then(|| lock(&self.pacer).again())
    }

    fn sample(&self, asked: Duration, sent_before: u64, round_trip: Duration) -> Sample {
        Sample {
            asked: self.clock.at(asked),
            sent_before,
            stretch: *lock(&self.stretch),
            round_trip,
            sent: self.given(),
            held_back: self.held_back.swap(false, Relaxed),
        }
    }

    /// Adjusts the pace to a sample.
    fn follow(&self, sample: Sample, best: Duration, socket: SocketState) {
        let pace = lock(&self.pacer).answered(sample, best, socket);
        let round_trip_ms = sample.round_trip.as_millis();
        if pace.is_some() {
            trace!(pace, round_trip_ms, held_back = sample.held_back, "an upload is paced");
        }
        self.pace.store(pace.filter(|&pace| pace < FAST).unwrap_or(0), Relaxed);
    }

    /// The round trip without our own queue; `None` while uploads have no pace.
    pub(crate) fn base(&self) -> Option<Duration> {
        lock(&self.pacer).base()
    }

    /// Records what a full socket takes, in bytes a second.
    pub(crate) fn measured(&self, rate: u64) {
        self.rate.store(rate, Relaxed);
    }

    /// What the socket takes while it is full, in bytes a second; `None` if it never was.
    pub(crate) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Relaxed)).filter(|&rate| rate > 0)
    }

    /// How long the oldest buffered byte has waited for the socket.
    pub(crate) fn waiting(&self) -> Duration {
        let since = self.kept_since.get();
        since.map_or(Duration::ZERO, |since| self.clock.now().saturating_sub(since))
    }

    /// The largest piece that one sender may hand over at once, in bytes.
    fn piece(&self) -> usize {
        let pace = self.pace.load(Relaxed);
        if pace > 0 {
            return burst(pace).clamp(LEAST_PIECE, MOST_PIECE);
        }
        match self.rate() {
            Some(rate) if rate < FAST => in_time(rate, AHEAD).clamp(LEAST_PIECE, MOST_PIECE),
            // The first bytes show how fast the line is.
            None if self.sent.load(Relaxed) < UNKNOWN => MOST_PIECE,
            _ => usize::MAX,
        }
    }

    /// Waits until the last piece of `turn` has been sent and there is room for the next one. Returns its size: at most
    /// `wanted` bytes.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub(crate) async fn room(&self, turn: &Turn, wanted: usize) -> usize {
        let piece = self.piece().min(wanted);
        self.in_pace(piece, wanted).await;
        loop {
            // Registers at once, so that no notification is missed before it is polled.
            let moved = self.moved.notified();
            if self.take(turn) {
                self.granted.fetch_add(piece as u64, Relaxed);
                return piece;
            }
            moved.await;
        }
    }

    /// Waits until the pace allows a piece of `bytes`, out of `wanted`. Small messages do not wait. They count against the
    /// pace, but only so far that many of them delay bulk senders by [`MOST_OF_LITTLE`] at most.
    async fn in_pace(&self, bytes: usize, wanted: usize) {
        let pace = self.pace.load(Relaxed);
        if pace == 0 {
            return;
        }
        let now = micros(self.clock.now());
        let takes = bytes as u64 * 1_000_000 / pace;
        // Timers fire a little late, so a piece may catch up.
        let earliest = now.saturating_sub(AHEAD_OF_PACE);
        let starts = |next: u64| next.max(earliest);
        let is_little = wanted < LITTLE;
        let next = self.next.fetch_update(Relaxed, Relaxed, |next| {
            let after = starts(next) + takes;
            Some(if is_little { after.min(next.max(now + MOST_OF_LITTLE)) } else { after })
        });
        let start = starts(next.unwrap_or_default());
        if start > now && !is_little {
            self.held_back.store(true, Relaxed);
            let place_in_pace = PlaceInPace { next: &self.next, takes };
            sleep_until(self.clock.at(Duration::from_micros(start))).await;
            std::mem::forget(place_in_pace);
        }
    }

    fn take(&self, turn: &Turn) -> bool {
        let rounds = self.rounds.load(SeqCst);
        let is_slow = self.rate().is_some_and(|rate| rate < FAST);
        let has_gone = !is_slow || turn.last.load(Relaxed) != rounds + 1;
        let has_room = has_gone && self.kept.load(SeqCst) == 0;
        if has_room {
            turn.last.store(rounds + 1, Relaxed);
        }
        has_room
    }
}

/// A reservation in the pace. Dropping it returns the time, since the sender has stopped waiting.
struct PlaceInPace<'a> {
    next: &'a AtomicU64,
    /// The time of the piece at the pace, in microseconds.
    takes: u64,
}

impl Drop for PlaceInPace<'_> {
    fn drop(&mut self) {
        self.next.fetch_sub(self.takes, Relaxed);
    }
}

/// The bytes that are carried in a time at a rate in bytes a second.
pub(crate) fn in_time(rate: u64, time: Duration) -> usize {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The rate in bytes a second at which some bytes are carried in a time.
pub(crate) fn per_second(bytes: u64, time: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The shortest idle time that begins a new stretch.
const PAUSE: Duration = Duration::from_millis(100);
/// The queueing delay that bulk senders may cause in front of a keystroke.
pub(crate) const AHEAD: Duration = Duration::from_millis(20);
/// The longest round trip that delays the next view of the kernel.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a view of the kernel takes precedence over answers to pings.
const RECENTLY: Duration = Duration::from_secs(1);
/// The rate, in bytes a second, above which nothing is held back: the buffers empty in milliseconds.
const FAST: u64 = 32 << 20;
/// How far a late piece may catch up with the pace, in microseconds.
const AHEAD_OF_PACE: u64 = 5000;
/// The longest delay that small messages cause to bulk senders, in microseconds.
const MOST_OF_LITTLE: u64 = 50_000;
/// The smallest piece in bytes: a smaller one would be mostly headers.
const LEAST_PIECE: usize = 1 << 10;
/// The size in bytes below which a message does not wait for the pace.
const LITTLE: usize = 4 << 10;
/// The largest piece: the largest packet that OpenSSH accepts. In bytes.
const MOST_PIECE: usize = 32 << 10;
/// The number of bytes after which a line is known to be fast if the socket was never full.
const UNKNOWN: u64 = 1 << 20;

#[cfg(test)]
mod tests;
