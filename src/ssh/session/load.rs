//! What a session carries: counted by its channels, read by whoever chooses between sessions.
//!
//! Time is cut into beats (see [`Load::beat`]): a channel is active in a beat in which it carried
//! anything, and bulk in one in which it carried a large part of what the session can carry. So an idle
//! keep-alive connection weighs nothing, a download weighs soon after it began, however slow the line,
//! and neither weighs when it is over.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::OpenKind;
use super::outflow::Outflow;
use crate::lock::lock;

/// The load of one session.
#[derive(Debug, Default)]
pub(crate) struct Load {
    beat: AtomicU64,
    channels: AtomicUsize,
    opening: AtomicUsize,
    scouts: AtomicUsize,
    alone: AtomicUsize,
    slow_readers: AtomicUsize,
    held: AtomicUsize,
    active: Counter,
    bulk: Counter,
    received: Flow,
    sent: Flow,
    closed_by_us: AtomicUsize,
    listeners: AtomicUsize,
    joined: Arc<Notify>,
    outflow: Arc<Outflow>,
    closers: TaskTracker,
    /// When the last channel went.
    empty_since: Mutex<Option<Instant>>,
}

/// What a session carries one way, in bytes.
#[derive(Debug)]
struct Flow {
    total: AtomicU64,
    /// At the last beat.
    before: AtomicU64,
    /// What one channel carries in a beat to count as bulk.
    bulk: AtomicU64,
    /// The most that it carried in a beat, of late.
    most: AtomicU64,
    /// The most that one channel has carried in this beat.
    busiest: AtomicU64,
}

/// Counts anew in every beat, and remembers the beat before.
#[derive(Debug, Default)]
struct Counter {
    now: AtomicUsize,
    before: AtomicUsize,
}

/// The beats in which one channel was counted in a [`Counter`].
#[derive(Debug, Default)]
struct Mark {
    /// The last one, plus one; 0 is never.
    last: AtomicU64,
    /// Whether it was counted in the one before that, too.
    twice: AtomicBool,
}

/// One channel's share of its session's load, until it is over or dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    load: Arc<Load>,
    /// How much it carried in the beat in which it last carried anything.
    received: AtomicU64,
    sent: AtomicU64,
    active: Mark,
    bulk: Mark,
    slow: AtomicBool,
    held: AtomicBool,
    kind: OpenKind,
    confirmed: AtomicBool,
    over: AtomicBool,
    closed_by_server: AtomicBool,
}

/// The server listens for us on this session, until this is dropped.
#[derive(Debug)]
pub(crate) struct Listening(Arc<Load>);

impl Load {
    /// Nothing yet, of a session with this way out.
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

    /// Channels that are being opened to a name that may take the server a while.
    pub(crate) fn scouts(&self) -> usize {
        self.scouts.load(Relaxed)
    }

    /// Channels that are being opened to a target at whose failure the session may end.
    pub(crate) fn alone(&self) -> usize {
        self.alone.load(Relaxed)
    }

    /// Channels whose client does not keep up.
    pub(crate) fn slow_readers(&self) -> usize {
        self.slow_readers.load(Relaxed)
    }

    /// Channels whose reader has stopped taking anything, and with it the session.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Channels that carried something in this beat or the one before.
    pub(crate) fn active(&self) -> usize {
        self.active.read()
    }

    /// Channels that carried much in this beat or the one before.
    pub(crate) fn bulk(&self) -> usize {
        self.bulk.read()
    }

    /// Bytes that channels received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.total.load(Relaxed)
    }

    /// Bytes that channels sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.total.load(Relaxed)
    }

    /// Bytes carried so far, both ways.
    pub(crate) fn carried(&self) -> u64 {
        self.received() + self.sent()
    }

    /// Channels that we had to close first. Each costs the session some memory for good.
    pub(crate) fn closed_by_us(&self) -> usize {
        self.closed_by_us.load(Relaxed)
    }

    /// When the last channel went, if one ever did.
    pub(crate) fn empty_since(&self) -> Option<Instant> {
    /// The tasks that close what nobody waits for any more.
    pub(crate) fn closers(&self) -> &TaskTracker {
        &self.closers
    }

        *self.emptied()
    }

    fn emptied(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.empty_since)
    }

    /// Ends a beat.
    pub(crate) fn beat(&self) -> Beat {
        self.beat.fetch_add(1, Relaxed);
        self.active.turn();
        self.bulk.turn();
        let (sent, _) = self.sent.turn();
        let (received, busiest) = self.received.turn();
        Beat { carried: received + sent, received, busiest }
    }

    /// Counts a listener in, whose connections may come at any time: no channel is alone from now on.
    pub(crate) fn listen(self: &Arc<Self>) -> Listening {
        self.listeners.fetch_add(1, Relaxed);
        self.joined.notify_waiters();
        Listening(Arc::clone(self))
    }

    /// Where opens of this kind are counted, besides with all others.
    fn of_kind(&self, kind: OpenKind) -> Option<&AtomicUsize> {
        match kind {
            OpenKind::Plain => None,
            OpenKind::Scout => Some(&self.scouts),
            OpenKind::Alone => Some(&self.alone),
        }
    }

    /// Whether it carries nothing, and nothing comes to it without our doing.
    pub(crate) fn is_free(&self) -> bool {
        self.channels() == 0 && self.listeners.load(Relaxed) == 0
    }

    /// Counts a channel in that is about to be opened.
    pub(crate) fn lease(self: &Arc<Self>, kind: OpenKind) -> Lease {
        self.channels.fetch_add(1, Relaxed);
        self.opening.fetch_add(1, Relaxed);
        if let Some(count) = self.of_kind(kind) {
            count.fetch_add(1, Relaxed);
        }
        self.joined.notify_waiters();
        Lease {
            load: Arc::clone(self),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            active: Mark::default(),
            bulk: Mark::default(),
            slow: AtomicBool::new(false),
            held: AtomicBool::new(false),
            kind,
            confirmed: AtomicBool::new(false),
            over: AtomicBool::new(false),
    /// The tasks that close what nobody waits for any more, on its session.
    pub(crate) fn closers(&self) -> &TaskTracker {
        self.load.closers()
    }

            closed_by_server: AtomicBool::new(false),
        }
    }
}

impl Flow {
    /// Ends a beat; tells what was carried in it, and what of that by the busiest channel.
    fn turn(&self) -> (u64, u64) {
        let total = self.total.load(Relaxed);
        let carried = total - self.before.swap(total, Relaxed);
        let most = self.most.load(Relaxed);
        // What a line carried once is forgotten in a minute or so.
        let most = carried.max(most - most / 64);
        self.most.store(most, Relaxed);
        self.bulk.store((most / PART).clamp(LEAST_BULK, MOST_BULK), Relaxed);
        (carried, self.busiest.swap(0, Relaxed))
    }

    /// Counts what a channel carries, which has `carried` so much in this beat before. Returns whether
    /// it is bulk.
    fn add(&self, carried: &AtomicU64, bytes: u64) -> bool {
        self.total.fetch_add(bytes, Relaxed);
        let carried = carried.fetch_add(bytes, Relaxed) + bytes;
        let bulk = carried >= self.bulk.load(Relaxed);
        if bulk {
            self.busiest.fetch_max(carried, Relaxed);
        }
        bulk
    }
}

impl Default for Flow {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        let bulk = AtomicU64::new(FIRST_BULK);
        Self { total: zero(), before: zero(), bulk, most: zero(), busiest: zero() }
    }
}

impl Counter {
    fn read(&self) -> usize {
        self.now.load(Relaxed).max(self.before.load(Relaxed))
    }

    fn turn(&self) {
        self.before.store(self.now.swap(0, Relaxed), Relaxed);
    }

    /// Counts a channel in this beat, once.
    fn enter(&self, mark: &Mark, beat: u64) {
        let last = mark.last.swap(beat + 1, Relaxed);
        if last != beat + 1 {
            mark.twice.store(last == beat, Relaxed);
            self.now.fetch_add(1, Relaxed);
        }
    }

    /// Takes back what a channel that is over has been counted for.
    fn leave(&self, mark: &Mark, beat: u64) {
        let last = mark.last.load(Relaxed);
        if last == beat + 1 {
            take_one(&self.now);
            if mark.twice.load(Relaxed) {
                take_one(&self.before);
            }
        } else if last == beat && last > 0 {
            take_one(&self.before);
        }
    }
}

// The beat may turn between two of these steps. What is counted wrongly then is gone two beats later.
fn take_one(count: &AtomicUsize) {
    let _ = count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
}

impl Lease {
    /// The server has confirmed the channel.
    pub(crate) fn confirmed(&self) {
        if !self.confirmed.swap(true, Relaxed) {
            self.load.opening.fetch_sub(1, Relaxed);
            if let Some(count) = self.load.of_kind(self.kind) {
                count.fetch_sub(1, Relaxed);
            }
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.carry(&self.load.received, &self.received, bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.carry(&self.load.sent, &self.sent, bytes as u64);
    }

    // Both directions may come here at once. What is counted wrongly then is gone two beats later.
    fn carry(&self, flow: &Flow, carried: &AtomicU64, bytes: u64) {
        let beat = self.load.beat.load(Relaxed);
        if self.active.last.load(Relaxed) != beat + 1 {
            self.received.store(0, Relaxed);
            self.sent.store(0, Relaxed);
            self.load.active.enter(&self.active, beat);
        }
        if flow.add(carried, bytes) {
            self.load.bulk.enter(&self.bulk, beat);
        }
    }

    /// The way out of its session.
    pub(crate) fn outflow(&self) -> &Outflow {
        &self.load.outflow
    }

    /// Whether the client keeps up with what arrives for it.
    pub(crate) fn set_pace(&self, pace: Pace) {
        let slow = pace == Pace::Slow;
        if self.slow.swap(slow, Relaxed) != slow {
            if slow {
                self.load.slow_readers.fetch_add(1, Relaxed);
            } else {
                self.load.slow_readers.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Whether the reader has stopped taking anything, and with it the session.
    pub(crate) fn set_held(&self, held: bool) {
        if self.held.swap(held, Relaxed) != held {
            if held {
                self.load.held.fetch_add(1, Relaxed);
            } else {
                self.load.held.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Completes when another channel comes to the session, or a listener.
    pub(crate) fn joined(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.load.joined).notified_owned()
    }

    /// Whether no other channel shares the session, nor may come without our doing.
    pub(crate) fn is_alone(&self) -> bool {
        self.load.channels() <= 1 && self.load.listeners.load(Relaxed) == 0
    }

    /// Takes the channel's share back. What it carries from now on is not expected to be anything.
    pub(crate) fn over(&self) {
        if self.over.swap(true, Relaxed) {
            return;
        }
        self.confirmed();
        self.set_pace(Pace::Kept);
        self.set_held(false);
        let beat = self.load.beat.load(Relaxed);
        self.load.active.leave(&self.active, beat);
        self.load.bulk.leave(&self.bulk, beat);
        if self.load.channels.fetch_sub(1, Relaxed) == 1 {
            *self.load.emptied() = Some(Instant::now());
        }
    }

    pub(crate) fn closed_by_server(&self) {
        self.closed_by_server.store(true, Relaxed);
    }

    pub(crate) fn is_closed_by_server(&self) -> bool {
        self.closed_by_server.load(Relaxed)
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
        self.over();
    }
}

/// How a client takes what arrives for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It keeps up.
    Kept,
    /// Much waits for it.
    Slow,
}

/// What a session carried in a beat, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beat {
    /// Both ways.
    pub(crate) carried: u64,
    /// From the server.
    pub(crate) received: u64,
    /// The busiest channel from the server, where it was bulk.
    pub(crate) busiest: u64,
}

/// A channel is bulk that carries this part of the most that its session carried in a beat,
const PART: u64 = 4;
/// at least so much, in bytes: a page is not bulk,
const LEAST_BULK: u64 = 64 * 1024;
/// and so much in any case.
const MOST_BULK: u64 = 512 * 1024;
/// Before a session has carried anything.
const FIRST_BULK: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_in_is_counted_out() {
        let load = Arc::new(Load::default());
        let lease = load.lease(OpenKind::Plain);
        assert_eq!((load.channels(), load.opening()), (1, 1));
        let scout = load.lease(OpenKind::Scout);
        assert_eq!((load.opening(), load.scouts()), (2, 1));
        drop(scout);
        assert_eq!((load.opening(), load.scouts()), (1, 0));
        lease.confirmed();
        assert_eq!((load.channels(), load.opening()), (1, 0));
        lease.set_pace(Pace::Slow);
        lease.set_pace(Pace::Slow);
        assert_eq!(load.slow_readers(), 1);
        drop(lease);
        drop(load.lease(OpenKind::Plain));
        assert_eq!((load.channels(), load.opening(), load.slow_readers()), (0, 0, 0));
    }

    #[test]
    fn a_channel_is_not_alone_where_others_may_come_by_themselves() {
        let load = Arc::new(Load::default());
        let lease = load.lease(OpenKind::Plain);
        assert!(lease.is_alone());
        let listening = load.listen();
        assert!(!lease.is_alone());
        drop(listening);
        assert!(lease.is_alone());
        let _other = load.lease(OpenKind::Plain);
        assert!(!lease.is_alone());
    }

    #[test]
    fn a_transfer_is_bulk_while_it_runs_and_an_idle_connection_is_nothing() {
        let load = Arc::new(Load::default());
        let (small, large) = (load.lease(OpenKind::Plain), load.lease(OpenKind::Plain));
        small.sent(100);
        large.received(200 * 1024);
        assert_eq!((load.active(), load.bulk()), (2, 0));
        large.received(200 * 1024);
        large.received(500 * 1024);
        assert_eq!((load.active(), load.bulk()), (2, 1));
        assert_eq!(load.beat().busiest, 900 * 1024);
        assert_eq!((load.active(), load.bulk()), (2, 1), "it was so a moment ago");
        load.beat();
        assert_eq!((load.active(), load.bulk()), (0, 0));
        large.received(900 * 1024);
        load.beat();
        large.received(900 * 1024);
        assert_eq!((load.active(), load.bulk()), (1, 1));
        drop(large);
        assert_eq!((load.active(), load.bulk()), (0, 0), "what is over does not weigh");
        small.over();
        assert_eq!(load.channels(), 0);
        drop(small);
        assert_eq!(load.channels(), 0, "it is counted out once");
        assert_eq!(load.carried(), 100 + 2700 * 1024);
    }

    #[test]
    fn bulk_is_what_fills_the_line_however_slow_it_is() {
        let load = Arc::new(Load::default());
        let transfer = load.lease(OpenKind::Plain);
        for _ in 0..2 {
            transfer.sent(100 * 1024);
            transfer.received(60 * 1024);
            load.beat();
        }
        transfer.sent(60 * 1024);
        load.beat();
        load.beat();
        assert_eq!(load.bulk(), 0, "less than anything that counts");
        transfer.sent(70 * 1024);
        assert_eq!(load.bulk(), 1);
        load.beat();
        load.beat();
        let (picture, download) = (load.lease(OpenKind::Plain), load.lease(OpenKind::Plain));
        download.received(1000 * 1024);
        load.beat();
        load.beat();
        load.beat();
        picture.received(200 * 1024);
        assert_eq!(load.bulk(), 0, "a quarter of what the line carries");
        picture.received(100 * 1024);
        assert_eq!(load.bulk(), 1);
    }
}
