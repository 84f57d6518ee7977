//! Detects that the machine was asleep, or that its network has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Compares the clocks and the network with their last state.
#[derive(Debug)]
pub(crate) struct WakeDetector {
    asleep: Duration,
    /// The last fingerprint.
    network: Option<u64>,
}

impl WakeDetector {
    /// Starts from the present state.
    pub(crate) fn new() -> Self {
        Self { asleep: asleep(), network: network() }
    }

    /// Whether the machine has slept or the network has changed since the last call.
    pub(crate) fn has_woken(&mut self) -> bool {
        let (asleep, network) = (asleep(), network());
        let changed = network.is_some() && self.network.is_some() && network != self.network;
        let woken = asleep > self.asleep + NOTICEABLE || changed;
        (self.asleep, self.network) = (asleep, network.or(self.network));
        woken
    }
}

/// How long the machine has slept since boot: the boot-time clock counts sleep, the monotonic clock does
/// not.
fn asleep() -> Duration {
    let clock = |id| {
        let time = clock_gettime(id);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    clock(ClockId::Boottime).saturating_sub(clock(ClockId::Monotonic))
}

/// A fingerprint of the routes and the IPv6 addresses; none where it cannot be read now, as when descriptors
/// have run out. A table that the system does not have counts as empty.
fn network() -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for line in table("/proc/net/route")?.lines() {
        // Interface, destination, gateway, flags, metric and mask; the others are counters.
        let fields: Vec<&str> = line.split_whitespace().collect();
        for index in [0, 1, 2, 3, 6, 7] {
            fields.get(index).hash(&mut hasher);
        }
    }
    for line in table("/proc/net/if_inet6")?.lines() {
        // The flags, the fifth field, change while an address is being checked.
        line.split_whitespace().take(4).for_each(|field| field.hash(&mut hasher));
    }
    Some(hasher.finish())
}

/// A file of the system; empty where it does not exist, none where it cannot be read now.
fn table(path: &str) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(table) => Some(table),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
        Err(_) => None,
    }
}

/// Tolerance, since the two clocks are not read at the same moment.
const NOTICEABLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_happened_just_now() {
        assert!(!WakeDetector::new().has_woken());
    }

    #[test]
    fn sleep_and_another_network_are_noticed_once() {
        let mut detector = WakeDetector { asleep: Duration::ZERO, ..WakeDetector::new() };
        detector.network = detector.network.map(|network| network ^ 1);
        assert!(detector.has_woken());
        assert!(!detector.has_woken());
        // What could not be seen before is no change.
        detector.network = None;
        assert!(!detector.has_woken());
    }
}
