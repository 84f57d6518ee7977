//! Notices that the machine was asleep, or that its network has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Compares how the world looks with how it looked before.
#[derive(Debug)]
pub(crate) struct WakeDetector {
    asleep: Duration,
    network: u64,
}

impl WakeDetector {
    /// Remembers how it looks now.
    pub(crate) fn new() -> Self {
        Self { asleep: asleep(), network: network() }
    }

    /// Whether the machine has slept or the network has changed since it was asked last.
    pub(crate) fn has_woken(&mut self) -> bool {
        let (asleep, network) = (asleep(), network());
        let woken = asleep > self.asleep + NOTICEABLE || network != self.network;
        (self.asleep, self.network) = (asleep, network);
        woken
    }
}

/// How long the machine has slept since it started: the boot clock counts that, the monotonic one
/// does not.
fn asleep() -> Duration {
    let clock = |id| {
        let time = clock_gettime(id);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    clock(ClockId::Boottime).saturating_sub(clock(ClockId::Monotonic))
}

/// A fingerprint of the routes and of the IPv6 addresses. 0 where the system does not show them so.
fn network() -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Ok(routes) = std::fs::read_to_string("/proc/net/route") {
        for line in routes.lines() {
            // Interface, destination, gateway, flags, metric and mask; the others are counters.
            let fields: Vec<&str> = line.split_whitespace().collect();
            for index in [0, 1, 2, 3, 6, 7] {
                fields.get(index).hash(&mut hasher);
            }
        }
    }
    if let Ok(addresses) = std::fs::read_to_string("/proc/net/if_inet6") {
        for line in addresses.lines() {
            // The flags, the fifth field, change while an address is being checked.
            line.split_whitespace().take(4).for_each(|field| field.hash(&mut hasher));
        }
    }
    hasher.finish()
}

/// The clocks are not read at the same moment.
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
        detector.network ^= 1;
        assert!(detector.has_woken());
        assert!(!detector.has_woken());
    }
}
