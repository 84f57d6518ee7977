//! The drop-tail queue in front of a line of packets, as in a modem.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::line::{Pace, Quality};

/// The entrance of one direction of a line. It only computes: the caller supplies the time and keeps
/// the packets.
#[derive(Debug)]
pub(crate) struct DropTail {
    pace: Pace,
    delay: Duration,
    /// The capacity in bytes; `None` if the line has no rate, and so no queue.
    size: Option<usize>,
    /// The time when each packet will have left the queue, and its size.
    waiting: VecDeque<(Instant, usize)>,
    backlog: usize,
}

impl DropTail {
    pub(crate) fn new(quality: Quality, now: Instant) -> Self {
        let size = (quality.rate > 0).then(|| quality.queue_size());
        let (pace, delay) = (Pace::new(quality, now), quality.delay);
        Self { pace, delay, size, waiting: VecDeque::new(), backlog: 0 }
    }

    /// The arrival time of a packet that enters `now`; `None` if it is dropped. Packets arrive in order.
    pub(crate) fn enter(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        while let Some((left, gone)) = self.waiting.front().copied()
            && left <= now
        {
            self.backlog -= gone;
            self.waiting.pop_front();
        }
        if self.size.is_some_and(|size| self.backlog + bytes > size) {
            return None;
        }
        let left = self.pace.pass(now, u32::try_from(bytes).expect("a packet"));
        self.waiting.push_back((left, bytes));
        self.backlog += bytes;
        Some(left + self.delay)
    }
}
