//! A histogram of durations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets in seconds; another bucket holds longer durations.
pub const BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Durations counted by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    classes: [AtomicU64; BOUNDS.len() + 1],
    /// In microseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// Adds a duration.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = BOUNDS.partition_point(|bound| *bound < seconds);
        self.classes[class].fetch_add(1, Relaxed);
        self.sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The count of each bucket, not cumulative.
    pub fn classes(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|class| self.classes[class].load(Relaxed))
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_fits() {
        let histogram = Histogram::default();
        for millis in [1, 2, 2, 30_000, 30_001] {
            histogram.observe(Duration::from_millis(millis));
        }
        let classes = histogram.classes();
        assert_eq!((classes[0], classes[1], classes[13], classes[14]), (1, 2, 1, 1));
        assert_eq!(classes.iter().sum::<u64>(), 5);
        assert_eq!(histogram.sum(), Duration::from_millis(60_006));
    }
}
