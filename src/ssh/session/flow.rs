//! What a session carries one way, and when one of its channels carries much of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a session carries one way, in bytes.
#[derive(Debug, Default)]
pub(super) struct Flow {
    total: AtomicU64,
    /// At the last beat.
    before: AtomicU64,
    /// What one channel carries in a beat to count as bulk; 0 before the first.
    bulk: AtomicU64,
    /// The most that it carried in a beat, of late.
    most: AtomicU64,
    /// The most that one channel has carried in this beat, and what it was in the one before.
    busiest: AtomicU64,
    busiest_before: AtomicU64,
}

impl Flow {
    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Ends a beat; tells what was carried in it, and what of that by the busiest channel, where there was
    /// one in the beat before, too: a transfer carries less in the beat in which it begins.
    pub(super) fn turn(&self) -> (u64, u64) {
        let total = self.total.load(Relaxed);
        let carried = total - self.before.swap(total, Relaxed);
        let most = self.most.load(Relaxed);
        // What a line carried once is forgotten in a minute or so.
        let most = carried.max(most - most / 64);
        self.most.store(most, Relaxed);
        self.bulk.store((most / PART).clamp(LEAST_BULK, MOST_BULK), Relaxed);
        let busiest = self.busiest.swap(0, Relaxed);
        let before = self.busiest_before.swap(busiest, Relaxed);
        (carried, if before > 0 { busiest } else { 0 })
    }

    /// Counts what a channel carries, which has `carried` so much in this beat before. Returns whether
    /// it is bulk.
    pub(super) fn add(&self, carried: &AtomicU64, bytes: u64) -> bool {
        self.total.fetch_add(bytes, Relaxed);
        let carried = carried.fetch_add(bytes, Relaxed) + bytes;
        let least = match self.bulk.load(Relaxed) {
            0 => FIRST_BULK,
            least => least,
        };
        if carried >= least {
            self.busiest.fetch_max(carried, Relaxed);
        }
        carried >= least
    }
}

/// A channel is bulk that carries this part of the most that its session carried in a beat,
const PART: u64 = 4;
/// at least so much, in bytes: a page is not bulk,
const LEAST_BULK: u64 = 64 * 1024;
/// and so much in any case.
const MOST_BULK: u64 = 512 * 1024;
/// Before a session has carried anything.
const FIRST_BULK: u64 = 256 * 1024;
