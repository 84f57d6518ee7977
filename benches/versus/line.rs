//! A user-space model of a home connection: a rate, a delay, and one bounded queue in each
//! direction, which all connections share packet by packet.
//!
//! Data that does not fit into the queue waits with its sender, as with a congestion control that
//! never loses a packet: so a sender notices only the delay and the rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

/// One direction of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// The one-way delay in addition to the queue.
    pub(crate) delay: Duration,
    /// Bytes per second; 0 for unlimited.
    pub(crate) rate: u32,
    /// When nothing passes.
    pub(crate) stalls: Stalls,
}

/// How often a line stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stalls {
    /// Never.
    Never,
    /// For [`STALL`] at random times, one percent of the time in total, like handovers of a mobile network.
    Mobile,
}

/// Computes when a line is free, given its rate and its stalls.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u32,
    stalls: Stalls,
    free_at: Instant,
    stall: Instant,
}

/// One direction of a line, which works as long as its runtime lives.
#[derive(Debug)]
pub(crate) struct Lane {
    rate: u32,
    delay: AtomicU64,
    /// The capacity of the queue in bytes, and its free space.
    queue_size: usize,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Packet>,
}

/// The exit of a connection: its data, with the time at which they arrive.
pub(crate) type Exit = mpsc::UnboundedSender<(Instant, Bytes)>;

#[derive(Debug)]
struct Packet {
    entered: Instant,
    bytes: Bytes,
    exit: Exit,
    _room: OwnedSemaphorePermit,
}

impl Quality {
    /// The capacity of the queue at the entrance, in bytes.
    pub(crate) fn queue_size(self) -> usize {
        (self.rate as usize * QUEUE.subsec_millis() as usize / 1000).max(2 * MTU)
    }
}

impl Pace {
    /// A line that is free at `now`.
    pub(crate) fn new(quality: Quality, now: Instant) -> Self {
        let Quality { rate, stalls, .. } = quality;
        Self { rate, stalls, free_at: now, stall: now + until_stall() }
    }

    /// The time when a packet of this size has passed, after those before it.
    pub(crate) fn pass(&mut self, entered: Instant, bytes: u32) -> Instant {
        self.free_at = self.free_at.max(entered);
        if self.stalls == Stalls::Mobile && self.free_at > self.stall {
            self.free_at += STALL;
            self.stall = self.free_at + until_stall();
        }
        if self.rate > 0 {
            self.free_at += Duration::from_secs(1) * bytes / self.rate;
        }
        self.free_at
    }
}

impl Lane {
    /// Opens a lane. Its transmitter is a task of the current runtime.
    pub(crate) fn open(quality: Quality) -> Arc<Self> {
        let (queue, packets) = mpsc::unbounded_channel();
        let Quality { delay, rate, .. } = quality;
        let queue_size = quality.queue_size();
        let room = Arc::new(Semaphore::new(queue_size));
        let lane = Arc::new(Self { rate, delay: AtomicU64::new(0), queue_size, room, queue });
        lane.set_delay(delay);
        if rate > 0 {
            tokio::spawn(transmit(
                Arc::downgrade(&lane),
                packets,
                Pace::new(quality, Instant::now()),
            ));
        }
        lane
    }

    /// Changes the delay of subsequent bytes.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_micros()).expect("a short time"), Relaxed);
    }

    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.room.available_permits() == self.queue_size
    }

    /// The size of a packet, in bytes.
    pub(crate) fn packet(&self) -> usize {
        match self.rate {
            0 => 256 << 10,
            // As large as possible without a noticeable effect, since each packet costs CPU time.
            rate => (rate as usize / 5000).max(MTU),
        }
    }

    /// The most bytes of one connection that may be in flight.
    pub(crate) fn in_flight(&self) -> usize {
        match self.rate {
            0 => 256 << 20,
            rate => (rate as usize).max(256 << 10),
        }
    }

    /// Sends one packet once there is room in the queue: first come, first served, so that
    /// connections with much to send take turns.
    pub(crate) async fn send(&self, bytes: Bytes, exit: &Exit) {
        if self.rate == 0 {
            let _ = exit.send((self.due(Instant::now()), bytes));
            return;
        }
        let len = u32::try_from(bytes.len()).expect("a packet");
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(len).await else { return };
        let entered = Instant::now();
        let _ = self.queue.send(Packet { entered, bytes, exit: exit.clone(), _room: room });
    }

    /// Makes a socket's buffer as small as possible without losing speed: data in it is not in the
    /// shared queue. Segments have the size of a real line's; with those of loopback, the sender would
    /// accept megabytes in advance.
    pub(crate) fn tune(&self, socket: &TcpSocket) -> std::io::Result<()> {
        if self.rate > 0 {
            socket2::SockRef::from(socket).set_tcp_mss(SEGMENT)?;
            socket.set_recv_buffer_size((self.rate / 100).max(LEAST_BUFFER))?;
        }
        Ok(())
    }

    /// The time of arrival of what leaves the queue now.
    fn due(&self, sent: Instant) -> Instant {
        let delay = Duration::from_micros(self.delay.load(Relaxed));
        // The timer and the wait beneath it both round up to whole milliseconds: one less gives the
        // right mean.
        sent + delay.saturating_sub(Duration::from_millis(1))
    }
}

/// Sends the queue of a lane at its rate.
async fn transmit(
    lane: std::sync::Weak<Lane>,
    mut packets: mpsc::UnboundedReceiver<Packet>,
    mut pace: Pace,
) {
    while let Some(packet) = packets.recv().await {
        let bytes = u32::try_from(packet.bytes.len()).expect("a packet");
        let free_at = pace.pass(packet.entered, bytes);
        if free_at > Instant::now() + Duration::from_millis(1) {
            sleep_until(free_at).await;
        }
        let Some(lane) = lane.upgrade() else { return };
        let _ = packet.exit.send((lane.due(free_at), packet.bytes));
    }
}

/// The time until the next stall, exponentially distributed.
fn until_stall() -> Duration {
    STALL.mul_f64(-99.0 * (1.0 - fastrand::f64()).ln())
}

/// The capacity of the queue, as time at the line's rate.
pub(crate) const QUEUE: Duration = Duration::from_millis(100);
/// The duration of a stall.
pub(crate) const STALL: Duration = Duration::from_millis(300);
/// The TCP payload of an Ethernet packet, in bytes.
const MTU: usize = 1448;
/// The same, as a segment size for a socket.
const SEGMENT: u32 = 1448;
/// The smallest socket buffer, in bytes.
const LEAST_BUFFER: u32 = 6 << 10;
