//! How well the server answers on a session: what its monitor has found out, and is asked to find out.

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
    /// When the last thing was asked that has been answered, in microseconds on the clock.
    proven: AtomicU64,
    delay: Delay,
    probe: Notify,
    gauge: Notify,
    suspect: Notify,
}

impl Health {
    /// What questions to the server have shown.
    pub(crate) fn delay(&self) -> &Delay {
        &self.delay
    }

    /// The server has answered an open, either way.
    pub(super) fn open_answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// Wakes whoever waits in [`Self::suspected`]: the server has not answered for long.
    pub(crate) fn suspect(&self) {
        self.suspect.notify_waiters();
    }

    /// Completes when the server is suspected the next time.
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

    /// Whether the server sends much that no channel takes, and answers late for it.
    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    pub(crate) fn set_flooded(&self, flooded: bool) {
        self.flooded.store(flooded, Relaxed);
    }

    /// Asks whoever watches the session to ask the server, unless it is being asked.
    pub(crate) fn request_gauge(&self) {
        self.gauge.notify_one();
    }

    pub(crate) async fn gauge_requested(&self) {
        self.gauge.notified().await;
    }

    /// Opens that the server has answered so far, either way.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Records that a question sent at `asked` was answered. Answers come in order, so the server has come
    /// to everything that was sent before.
    pub(crate) fn note_answer(&self, asked: Instant) {
        self.proven.fetch_max(micros(self.clock.shown(asked)), Relaxed);
    }

    /// Whether the server has certainly come to what was sent at `asked`.
    pub(crate) fn has_come_to(&self, asked: Instant) -> bool {
        self.proven.load(Relaxed) > micros(self.clock.shown(asked))
    }

    /// Asks whoever watches the session to find out at once whether the server still answers.
    pub(crate) fn request_probe(&self) {
        self.probe.notify_one();
    }

    pub(crate) async fn probe_requested(&self) {
        self.probe.notified().await;
    }
}
