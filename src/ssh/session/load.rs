//! The load of a session, recorded by its channels and read where a session is chosen.
//!
//! Time is divided into beats (see [`Load::beat`]): a channel is active in a beat if it carried any data in it,
//! and bulk if it carried a large part of what the session can carry. So an idle keep-alive connection does not
//! count, a download counts soon after it began, however slow the line, and neither counts once it has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::OpenKind;
use super::beats::{Beats, Mark};
use super::flow::Flow;
use super::outflow::Outflow;
use crate::lock::lock;

/// The load of one session.
#[derive(Debug, Default)]
pub(crate) struct Load {
    channels: AtomicUsize,
    opening: AtomicUsize,
    unresolved: AtomicUsize,
    isolated: AtomicUsize,
    slow_readers: AtomicUsize,
    held: AtomicUsize,
    active: Beats,
    bulk: Beats,
    received: Flow,
    sent: Flow,
    closed_by_us: AtomicUsize,
    listeners: AtomicUsize,
    /// Bytes sent before the last ping; `delivered` is how many the server has certainly received.
    asked_after: AtomicU64,
    delivered: AtomicU64,
    joined: Arc<Notify>,
    outflow: Arc<Outflow>,
    closers: TaskTracker,
    empty_since: Mutex<Option<Instant>>,
}

/// A channel's share of its session's load, until it is finished or dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    load: Arc<Load>,
    kind: OpenKind,
    state: LeaseState,
}

#[derive(Debug, Default)]
struct LeaseState {
    /// Bytes received in the last beat in which the channel was active; `sent` likewise.
    received: AtomicU64,
    sent: AtomicU64,
    active: Mark,
    bulk: Mark,
    slow: AtomicBool,
    held: AtomicBool,
    confirmed: AtomicBool,
    over: AtomicBool,
    closed_by_server: AtomicBool,
    gone: CancellationToken,
}

/// A remote listener on this session, counted until dropped.
#[derive(Debug)]
pub(crate) struct Listening(Arc<Load>);

impl Load {
    /// An empty load of a session that sends through `outflow`.
    pub(crate) fn on(outflow: &Arc<Outflow>) -> Self {
        Self { outflow: Arc::clone(outflow), ..Self::default() }
    }

    /// Channels that are open or being opened.
    pub(crate) fn channels(&self) -> usize {
        self.channels.load(Relaxed)
    }

    /// Channels that the server has not confirmed yet.
    pub(crate) fn opening(&self) -> usize {
        self.opening.load(Relaxed)
    }

    /// Channels being opened to a name whose look-up may take the server a while.
    pub(crate) fn unresolved(&self) -> usize {
        self.unresolved.load(Relaxed)
    }

    /// Channels being opened to a target whose failure may end the session.
    pub(crate) fn isolated(&self) -> usize {
        self.isolated.load(Relaxed)
    }

    /// Channels whose client does not keep up.
    pub(crate) fn slow_readers(&self) -> usize {
        self.slow_readers.load(Relaxed)
    }

    /// Channels whose reader has stopped receiving, which blocks the session.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Channels that were active in this beat or the previous one.
    pub(crate) fn active(&self) -> usize {
        self.active.most()
    }

    /// Channels that were bulk in this beat or the previous one.
    pub(crate) fn bulk(&self) -> usize {
        self.bulk.most()
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.total()
    }

    /// Records a ping, which the server answers after everything sent before.
    pub(crate) fn asked(&self) {
        self.asked_after.store(self.sent(), Relaxed);
    }

    /// Records that the ping was answered.
    pub(crate) fn answered(&self) {
        self.delivered.store(self.asked_after.load(Relaxed), Relaxed);
    }

    /// Whether the server has certainly received everything that was sent.
    pub(crate) fn is_delivered(&self) -> bool {
        self.delivered.load(Relaxed) >= self.sent()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.total()
    }

    /// Bytes carried so far in both directions.
    pub(crate) fn carried(&self) -> u64 {
        self.received() + self.sent()
    }

    /// Channels closed from here first, each of which leaks memory in the session.
    pub(crate) fn closed_by_us(&self) -> usize {
        self.closed_by_us.load(Relaxed)
    }

    /// When the last channel finished; none if there was never one.
    pub(crate) fn empty_since(&self) -> Option<Instant> {
        *self.emptied()
    }

    fn emptied(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.empty_since)
    }

    pub(crate) fn beat(&self) -> Beat {
        self.active.end_beat();
        self.bulk.end_beat();
        let (sent, _) = self.sent.end_beat();
        let (received, busiest) = self.received.end_beat();
        Beat { carried: received + sent, received, busiest }
    }

    /// Counts a listener, whose connections may arrive at any time: no channel counts as alone meanwhile.
    pub(crate) fn listen(self: &Arc<Self>) -> Listening {
        self.listeners.fetch_add(1, Relaxed);
        self.joined.notify_waiters();
        Listening(Arc::clone(self))
    }

    /// The additional counter for opens of this kind.
    fn of_kind(&self, kind: OpenKind) -> Option<&AtomicUsize> {
        match kind {
            OpenKind::Plain => None,
            OpenKind::UnresolvedName => Some(&self.unresolved),
            OpenKind::Isolated => Some(&self.isolated),
        }
    }

    /// The tasks that close channels after their owners are gone.
    pub(crate) fn closers(&self) -> &TaskTracker {
        &self.closers
    }

    /// Whether the session has no channels, and the server cannot open any.
    pub(crate) fn is_free(&self) -> bool {
        self.channels() == 0 && self.listeners.load(Relaxed) == 0
    }

    /// Counts a channel that is about to be opened.
    pub(crate) fn lease(self: &Arc<Self>, kind: OpenKind) -> Lease {
        self.channels.fetch_add(1, Relaxed);
        self.opening.fetch_add(1, Relaxed);
        if let Some(count) = self.of_kind(kind) {
            count.fetch_add(1, Relaxed);
        }
        self.joined.notify_waiters();
        Lease { load: Arc::clone(self), kind, state: LeaseState::default() }
    }
}

impl Lease {
    pub(crate) fn confirmed(&self) {
        if !self.state.confirmed.swap(true, Relaxed) {
            self.load.opening.fetch_sub(1, Relaxed);
            if let Some(count) = self.load.of_kind(self.kind) {
                count.fetch_sub(1, Relaxed);
            }
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.carry(&self.load.received, &self.state.received, bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.carry(&self.load.sent, &self.state.sent, bytes as u64);
    }

    fn carry(&self, flow: &Flow, carried: &AtomicU64, bytes: u64) {
        if self.load.active.enter(&self.state.active) {
            self.state.received.store(0, Relaxed);
            self.state.sent.store(0, Relaxed);
        }
        if flow.add(carried, bytes) {
            self.load.bulk.enter(&self.state.bulk);
        }
    }

    /// The session's tasks that close channels after their owners are gone.
    pub(crate) fn closers(&self) -> &TaskTracker {
        self.load.closers()
    }

    /// The outgoing side of the session.
    pub(crate) fn outflow(&self) -> &Outflow {
        &self.load.outflow
    }

    /// Records whether the client keeps up with its data.
    pub(crate) fn set_reading(&self, reading: Reading) {
        self.mark(&self.state.slow, &self.load.slow_readers, reading == Reading::Behind);
    }

    /// Records whether the reader has stopped receiving, which blocks the session.
    pub(crate) fn set_held(&self, held: bool) {
        self.mark(&self.state.held, &self.load.held, held);
    }

    /// Adds the channel to a counter or removes it. A finished channel is in none.
    fn mark(&self, flag: &AtomicBool, count: &AtomicUsize, is_one: bool) {
        let is_one = is_one && !self.state.over.load(Relaxed);
        if flag.swap(is_one, Relaxed) != is_one {
            if is_one {
                count.fetch_add(1, Relaxed);
            } else {
                count.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Completes when a channel or a listener is added to the session.
    pub(crate) fn joined(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.load.joined).notified_owned()
    }

    /// Whether no other channel shares the session, and the server cannot open any.
    pub(crate) fn is_alone(&self) -> bool {
        self.load.channels() <= 1 && self.load.listeners.load(Relaxed) == 0
    }

    /// Removes the channel from the load; its traffic no longer counts.
    pub(crate) fn finish(&self) {
        if self.state.over.swap(true, Relaxed) {
            return;
        }
        self.confirmed();
        self.set_reading(Reading::KeepsUp);
        self.set_held(false);
        self.load.active.leave(&self.state.active);
        self.load.bulk.leave(&self.state.bulk);
        if self.load.channels.fetch_sub(1, Relaxed) == 1 {
            *self.load.emptied() = Some(Instant::now());
        }
    }

    pub(crate) fn closed_by_server(&self) {
        self.state.closed_by_server.store(true, Relaxed);
    }

    pub(crate) fn is_closed_by_server(&self) -> bool {
        self.state.closed_by_server.load(Relaxed)
    }

    /// Records that nothing more arrives on the channel: it is closed, or its session has ended.
    pub(crate) fn set_gone(&self) {
        self.state.gone.cancel();
    }

    /// Completes when nothing more arrives on the channel.
    pub(crate) async fn gone(&self) {
        self.state.gone.cancelled().await;
    }

    pub(crate) fn closed_by_us(&self) {
        self.load.closed_by_us.fetch_add(1, Relaxed);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whether a client keeps up with its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    KeepsUp,
    /// Much data is queued for it.
    Behind,
}

/// The bytes that a session carried in a beat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beat {
    /// In both directions.
    pub(crate) carried: u64,
    /// From the server.
    pub(crate) received: u64,
    /// From the server by the busiest bulk channel; 0 unless the previous beat had one, too.
    pub(crate) busiest: u64,
}

#[cfg(test)]
mod tests;
