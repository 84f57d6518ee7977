//! The traffic of a session in one direction, and which of its channels carry bulk transfers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The traffic of a session in one direction, in bytes.
#[derive(Debug, Default)]
pub(super) struct Flow {
    total: AtomicU64,
    /// The total at the end of the last beat.
    before: AtomicU64,
    /// The bytes in a beat from which a channel counts as bulk; 0 before the first beat ends.
    bulk: AtomicU64,
    /// The recent maximum of a beat, which decays.
    most: AtomicU64,
    /// The most that a bulk channel has carried in this beat; `busiest_before` is that of the previous one.
    busiest: AtomicU64,
    busiest_before: AtomicU64,
}

impl Flow {
    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Ends a beat. Returns its bytes, and those of the busiest bulk channel; 0 unless the previous beat had
    /// one, too, since a transfer carries less in the beat in which it begins.
    pub(super) fn end_beat(&self) -> (u64, u64) {
        let total = self.total.load(Relaxed);
        let carried = total - self.before.swap(total, Relaxed);
        let most = self.most.load(Relaxed);
        // The maximum halves in about 20 s, so that an old one is forgotten.
        let most = carried.max(most - most / 64);
        self.most.store(most, Relaxed);
        self.bulk.store((most / PART).clamp(LEAST_BULK, MOST_BULK), Relaxed);
        let busiest = self.busiest.swap(0, Relaxed);
        let before = self.busiest_before.swap(busiest, Relaxed);
        (carried, if before > 0 { busiest } else { 0 })
    }

    /// Counts `bytes` of a channel that has `carried` some in this beat already. Returns whether the channel is
    /// bulk.
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

/// The divisor of the recent maximum of a session's beat that yields the threshold of bulk channels.
const PART: u64 = 4;
/// The minimum of that threshold in bytes, so that a web page is not bulk.
const LEAST_BULK: u64 = 64 * 1024;
/// The maximum of that threshold in bytes.
const MOST_BULK: u64 = 512 * 1024;
/// The threshold in bytes before the first beat has ended.
const FIRST_BULK: u64 = 256 * 1024;
