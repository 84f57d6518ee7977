//! Bounds what is queued towards the server, in front of the next keystroke.
//!
//! russh takes what it is given and writes it in one go, and while the socket takes nothing it reads
//! nothing either. So the transport takes all of it at once, and whoever has much to send waits until what
//! was taken has gone: one piece at a time, as large as the line carries in [`AHEAD`], and no faster than
//! at its [pace](Pacer), in smaller pieces where there is one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep_until;
use tracing::trace;

use super::atomic_time::{AtomicDuration, Clock, micros};
use super::pacer::{Pacer, Sample, Stretch, burst};
use crate::lock::lock;
use crate::stream::options::Delivery;

/// What is on its way out of one session.
#[derive(Debug, Default)]
pub(crate) struct Outflow {
    clock: Clock,
    /// How often russh has handed over all that it had.
    rounds: AtomicU64,
    /// What it may have been given since, in bytes.
    granted: AtomicU64,
    /// What the transport keeps because the socket takes no more, in bytes.
    kept: AtomicUsize,
    /// Since when it keeps anything.
    kept_since: AtomicDuration,
    /// How much the socket takes while there is more to send, in bytes a second; 0 before it was ever
    /// full.
    rate: AtomicU64,
    /// What the stream has taken, in bytes, when it did so last, and since when it does without a [`PAUSE`].
    sent: AtomicU64,
    last_took: AtomicDuration,
    stretch: Mutex<Stretch>,
    /// When the server was asked something that it has not answered, and what had been taken then, in
    /// bytes.
    asked: AtomicDuration,
    sent_before: AtomicU64,
    /// The shortest round trip of the session.
    best: AtomicDuration,
    /// When the kernel told last how what was sent arrives, and when it is to be asked again, in microseconds on the
    /// clock.
    delivered: AtomicDuration,
    next_delivery: AtomicU64,
    /// How much those who send much may send, in bytes a second; 0 for as much as there is.
    pace: AtomicU64,
    /// When the next of their pieces may be sent, in microseconds on the clock.
    next: AtomicU64,
    /// Whether anybody has waited for that.
    held_back: AtomicBool,
    pacer: Mutex<Pacer>,
    moved: Notify,
}

/// One sender's place: what it sent last, and when.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The round after which its last piece was handed over, plus one; 0 where there is none.
    last: AtomicU64,
}

impl Outflow {
    /// russh has handed over all that it had.
    pub(crate) fn handed_over(&self) {
        self.granted.store(0, Relaxed);
        self.rounds.fetch_add(1, SeqCst);
        self.moved.notify_waiters();
    }

    /// So many bytes have to wait for the socket.
    pub(crate) fn keep(&self, bytes: usize) {
        let before = self.kept.swap(bytes, SeqCst);
        if bytes > 0 && before == 0 {
            self.kept_since.set(self.clock.now());
        } else if bytes == 0 && before > 0 {
            self.kept_since.clear();
            self.moved.notify_waiters();
        }
    }

    /// The stream has taken so many bytes.
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

    /// Takes note of the shortest round trip of the session.
    pub(crate) fn set_best(&self, best: Duration) {
        self.best.set(best);
    }

    /// Whether the kernel is to be asked again how what was sent arrives.
    pub(crate) fn wants_delivery(&self) -> bool {
        micros(self.clock.now()) >= self.next_delivery.load(Relaxed)
    }

    /// What was sent arrives like that, if the kernel knows. An sshd without `TCP_NODELAY` has its answers wait for
    /// acknowledgements, they wait behind what it sends, and whatever was lost on the line holds up what comes behind
    /// it: the kernel's measure is free of all that. It counts where the connection's peer is as far away as the
    /// server, and is no proxy.
    pub(crate) fn delivered(&self, delivery: Option<Delivery>) {
        let Some(delivery) = delivery else { return self.next_delivery.store(u64::MAX, Relaxed) };
        let (now, round_trip) = (self.clock.now(), delivery.round_trip);
        let again = lock(&self.pacer).again().max(round_trip.min(AGAIN));
        self.next_delivery.store(micros(now + again), Relaxed);
        let Some(best) = self.best.get().filter(|&best| delivery.least >= best / 4 * 3) else {
            return;
        };
        self.delivered.set(now);
        // What arrived last, and is known to have, was sent a round trip ago.
        let asked = now.saturating_sub(round_trip);
        let sent_before = self.sent.load(Relaxed).saturating_sub(delivery.outstanding);
        // Where it is full now, what it was found to take before does not matter.
        let rate = (delivery.unsent > 0).then_some(u64::MAX);
        self.follow(self.sample(asked, sent_before, round_trip), best, rate);
    }

    /// What russh was given so far, in bytes.
    fn given(&self) -> u64 {
        let handed_over = self.sent.load(Relaxed) + self.kept.load(Relaxed) as u64;
        handed_over + self.granted.load(Relaxed)
    }

    /// The server has answered, after such a time; `best` is the session's shortest so far. Returns when it is to
    /// be asked again, where uploads are paced.
    pub(crate) fn answered(&self, round_trip: Duration, best: Duration) -> Option<Duration> {
        self.set_best(best);
        let recently = |at: Duration| self.clock.now() < at + RECENTLY;
        if self.delivered.get().is_some_and(recently) {
            lock(&self.pacer).saw(round_trip);
        } else {
            let asked = self.asked.get().unwrap_or_default();
            let sent_before = self.sent_before.load(Relaxed);
            self.follow(self.sample(asked, sent_before, round_trip), best, self.rate());
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

    /// Takes the pace from what a sample shows.
    fn follow(&self, sample: Sample, best: Duration, rate: Option<u64>) {
        let pace = lock(&self.pacer).answered(sample, best, rate);
        let round_trip_ms = sample.round_trip.as_millis();
        if pace.is_some() {
            trace!(pace, round_trip_ms, held_back = sample.held_back, "an upload is paced");
        }
        self.pace.store(pace.filter(|&pace| pace < FAST).unwrap_or(0), Relaxed);
    }

    /// What an answer takes without what is sent, while that has a pace.
    pub(crate) fn base(&self) -> Option<Duration> {
        lock(&self.pacer).base()
    }

    /// What the line was found to carry, in bytes a second.
    pub(crate) fn measured(&self, rate: u64) {
        self.rate.store(rate, Relaxed);
    }

    /// What the line carries, in bytes a second, where it was ever full.
    pub(crate) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Relaxed)).filter(|&rate| rate > 0)
    }

    /// For how long the oldest that is kept has waited.
    pub(crate) fn waiting(&self) -> Duration {
        let since = self.kept_since.get();
        since.map_or(Duration::ZERO, |since| self.clock.now().saturating_sub(since))
    }

    /// How much one sender may hand over at once, in bytes.
    fn piece(&self) -> usize {
        let pace = self.pace.load(Relaxed);
        if pace > 0 {
            return burst(pace).clamp(LEAST_PIECE, MOST_PIECE);
        }
        match self.rate() {
            Some(rate) if rate < FAST => in_time(rate, AHEAD).clamp(LEAST_PIECE, MOST_PIECE),
            // The first bytes tell how fast the line is.
            None if self.sent.load(Relaxed) < UNKNOWN => MOST_PIECE,
            _ => usize::MAX,
        }
    }

    /// Waits until `turn`'s last piece has gone and there is room for the next of `wanted` bytes. Returns
    /// how many of them that is.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub(crate) async fn room(&self, turn: &Turn, wanted: usize) -> usize {
        let piece = self.piece().min(wanted);
        self.in_pace(piece, wanted).await;
        loop {
            // What moves from now on is told, polled or not.
            let moved = self.moved.notified();
            if self.take(turn) {
                self.granted.fetch_add(piece as u64, Relaxed);
                return piece;
            }
            moved.await;
        }
    }

    /// Waits until a piece of so many bytes may be sent, of those that are `wanted`. Where they are few, it does
    /// not wait. It counts, but only so far that whoever sends much little holds up nobody for long.
    async fn in_pace(&self, bytes: usize, wanted: usize) {
        let pace = self.pace.load(Relaxed);
        if pace == 0 {
            return;
        }
        let now = micros(self.clock.now());
        let takes = bytes as u64 * 1_000_000 / pace;
        // A timer wakes late by a little, which is made up for.
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

/// A place in the pace. Dropped, it is given back: whoever waits no more sends nothing.
struct PlaceInPace<'a> {
    next: &'a AtomicU64,
    /// In microseconds.
    takes: u64,
}

impl Drop for PlaceInPace<'_> {
    fn drop(&mut self) {
        self.next.fetch_sub(self.takes, Relaxed);
    }
}

/// What a line with this rate, in bytes a second, carries in a time, in bytes.
pub(crate) fn in_time(rate: u64, time: Duration) -> usize {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// When nothing was sent for longer, what comes then is a new stretch.
const PAUSE: Duration = Duration::from_millis(100);
/// What may wait in front of a keystroke, as time on the line.
pub(crate) const AHEAD: Duration = Duration::from_millis(20);
/// After such a round trip at the latest the kernel is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// As long as the kernel tells how what was sent arrives, answers tell less.
const RECENTLY: Duration = Duration::from_secs(1);
/// Above this rate, in bytes a second, nobody waits for a turn: what the buffers hold is gone in
/// milliseconds.
const FAST: u64 = 32 << 20;
/// By how much of its time a piece may be sent sooner, in microseconds.
const AHEAD_OF_PACE: u64 = 5000;
/// How far ahead of the time what is little may take up the pace, in microseconds.
const MOST_OF_LITTLE: u64 = 50_000;
/// Smaller pieces would be more head than body. In bytes.
const LEAST_PIECE: usize = 1 << 10;
/// What is less, in bytes, does not wait for its turn in the pace.
const LITTLE: usize = 4 << 10;
/// The largest packet that OpenSSH takes, in bytes.
const MOST_PIECE: usize = 32 << 10;
/// When so much was sent and the socket was never full, the line is fast. In bytes.
const UNKNOWN: u64 = 1 << 20;

#[cfg(test)]
mod tests;
