//! How well the server of a session answers: the findings of the session's monitor, and requests to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::atomic_time::{Clock, micros};
use super::delay::Delay;

/// How well the server answers on one session.
#[derive(Debug, Default)]
pub(crate) struct Health {
    clock: Clock,
    stuck: AtomicBool,
    flooded: AtomicBool,
    answered: AtomicU64,
    /// When the latest answered ping or open was sent, in microseconds on the clock.
    proven: AtomicU64,
    delay: Delay,
    probe: Notify,
    measurement: Notify,
    suspect: Notify,
}

impl Health {
    /// The results of pings.
    pub(crate) fn delay(&self) -> &Delay {
        &self.delay
    }

    /// Records that the server has answered an open, successfully or not.
    pub(super) fn open_answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// Wakes those that wait in [`Self::suspected`]: the server has not answered for long.
    pub(crate) fn suspect(&self) {
        self.suspect.notify_waiters();
    }

    /// Completes when the server is next suspected.
    pub(crate) async fn suspected(&self) {
        self.suspect.notified().await;
    }

    /// Whether the server has not answered for a while.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Relaxed)
    }

    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Relaxed);
    }

    /// Whether the server sends much data that no channel accepts, which delays its answers.
    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    pub(crate) fn set_flooded(&self, flooded: bool) {
        self.flooded.store(flooded, Relaxed);
    }

    /// Asks the monitor to ping the server, unless a ping is pending.
    pub(crate) fn request_measurement(&self) {
        self.measurement.notify_one();
    }

    pub(crate) async fn measurement_requested(&self) {
        self.measurement.notified().await;
    }

    /// The number of opens that the server has answered, successfully or not.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Records that a request sent at `asked` was answered. The server answers in order, and so has reached
    /// everything sent before.
    pub(crate) fn note_answer(&self, asked: Instant) {
        self.proven.fetch_max(micros(self.clock.shown(asked)), Relaxed);
    }

    /// Whether the server has certainly reached what was sent at `asked`.
    pub(crate) fn has_reached(&self, asked: Instant) -> bool {
        self.proven.load(Relaxed) > micros(self.clock.shown(asked))
    }

    /// Asks the monitor to find out at once whether the server still answers.
    pub(crate) fn request_probe(&self) {
        self.probe.notify_one();
    }

    pub(crate) async fn probe_requested(&self) {
        self.probe.notified().await;
    }
}
