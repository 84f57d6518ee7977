//! How well the server answers on a session: what its monitor has found out, and is asked to find out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::delay::Delay;

/// How well the server answers on one session.
#[derive(Debug)]
pub(crate) struct Health {
    since: Instant,
    stuck: AtomicBool,
    flooded: AtomicBool,
    answered: AtomicU64,
    /// When the last thing was asked that has been answered, in microseconds since the beginning.
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

    /// Completes when that was requested.
    pub(crate) async fn gauge_requested(&self) {
        self.gauge.notified().await;
    }

    /// Opens that the server has answered so far, either way.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Something was answered that was asked then. The server answers in order: it had come to all
    /// that was asked before.
    pub(crate) fn note_answer(&self, asked: Instant) {
        let micros = asked.saturating_duration_since(self.since).as_micros();
        self.proven.fetch_max(u64::try_from(micros).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether the server has certainly come to what was asked then.
    pub(crate) fn has_come_to(&self, asked: Instant) -> bool {
        let micros = asked.saturating_duration_since(self.since).as_micros();
        u128::from(self.proven.load(Relaxed)) > micros
    }

    /// Asks whoever watches the session to find out at once whether the server still answers.
    pub(crate) fn request_probe(&self) {
        self.probe.notify_one();
    }

    /// Completes when a probe was requested.
    pub(crate) async fn probe_requested(&self) {
        self.probe.notified().await;
    }
}

impl Default for Health {
    /// Nothing is known yet.
    fn default() -> Self {
        Self {
            since: Instant::now(),
            stuck: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            proven: AtomicU64::new(0),
            delay: Delay::default(),
            probe: Notify::new(),
            gauge: Notify::new(),
            suspect: Notify::new(),
        }
    }
}
