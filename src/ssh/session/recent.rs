//! The shortest round trip of the recent past. A longer path shows only there: the shortest one of all time stays short.

use std::time::Duration;

use tokio::time::Instant;

/// The round trips since the last result.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// When the first was measured, and the shortest.
    found: Option<(Instant, Duration)>,
    /// The number of measurements whose traffic is unknown.
    new: u32,
    calm: u32,
    busy: u32,
}

/// The traffic to the server while a round trip was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Too little for a queue, for long enough that an earlier one has drained.
    None,
    Some,
}

impl Recent {
    pub(super) fn add(&mut self, round_trip: Duration) {
        let (since, shortest) = self.found.unwrap_or_else(|| (Instant::now(), round_trip));
        self.found = Some((since, shortest.min(round_trip)));
        self.new += 1;
    }

    /// Takes note of the traffic during the latest measurements. Returns the shortest round trip once it counts:
    /// after [`SPAN`], with measurements that no queue has delayed, and with others, since a radio that
    /// sleeps delays those without traffic.
    pub(super) fn attribute(&mut self, traffic: Traffic) -> Option<Duration> {
        let new = std::mem::take(&mut self.new);
        match traffic {
            Traffic::None => self.calm += new,
            Traffic::Some => self.busy += new,
        }
        let (since, shortest) = self.found?;
        let is_enough = self.calm >= CALM && self.busy >= BUSY && since.elapsed() >= SPAN;
        is_enough.then(|| {
            *self = Self::default();
            shortest
        })
    }
}

/// The least time for a result.
const SPAN: Duration = Duration::from_secs(120);
/// The least number of measurements without traffic.
const CALM: u32 = 8;
/// The least number of measurements with traffic.
const BUSY: u32 = 4;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MILLIS: Duration = Duration::from_millis(1);

    fn measure(recent: &mut Recent, traffic: Traffic, times: u32) -> Option<Duration> {
        (0..times).find_map(|time| {
            recent.add((150 + time) * MILLIS);
            recent.attribute(traffic)
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_needs_time_and_both_kinds_of_traffic() {
        let mut recent = Recent::default();
        assert_eq!(recent.attribute(Traffic::None), None);
        assert_eq!(measure(&mut recent, Traffic::Some, 100), None);
        advance(SPAN).await;
        assert_eq!(measure(&mut recent, Traffic::Some, 100), None, "a download");
        assert_eq!(measure(&mut recent, Traffic::None, CALM), Some(150 * MILLIS));

        assert_eq!(measure(&mut recent, Traffic::None, 100), None);
        advance(SPAN).await;
        assert_eq!(measure(&mut recent, Traffic::None, 100), None, "a radio may sleep");
        recent.add(40 * MILLIS);
        assert_eq!(measure(&mut recent, Traffic::Some, BUSY), Some(40 * MILLIS), "the shortest");

        measure(&mut recent, Traffic::None, CALM);
        assert_eq!(measure(&mut recent, Traffic::Some, BUSY), None, "it is too soon");
        advance(SPAN).await;
        assert_eq!(recent.attribute(Traffic::None), Some(150 * MILLIS));
    }
}
