//! Notices that the machine was asleep, or that its network has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Compares how the world looks with how it looked before.
#[derive(Debug)]
pub(crate) struct WakeDetector {
    asleep: Duration,
    /// As it was last seen.
    network: Option<u64>,
}

impl WakeDetector {
    /// Remembers how it looks now.
    pub(crate) fn new() -> Self {
        Self { asleep: asleep(), network: network() }
    }

    /// Whether the machine has slept or the network has changed since it was asked last.
    pub(crate) fn has_woken(&mut self) -> bool {
        let (asleep, network) = (asleep(), network());
        let changed = network.is_some() && self.network.is_some() && network != self.network;
        let woken = asleep > self.asleep + NOTICEABLE || changed;
        (self.asleep, self.network) = (asleep, network.or(self.network));
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

/// A fingerprint of the routes and of the IPv6 addresses; none where it cannot be seen now, as when
/// there is no descriptor left. What the system does not show at all never changes.
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

/// A table of the system; empty where it has none, none where it cannot be read now.
fn table(path: &str) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(table) => Some(table),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
        Err(_) => None,
    }
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
        detector.network = detector.network.map(|network| network ^ 1);
        assert!(detector.has_woken());
        assert!(!detector.has_woken());
        // What could not be seen before is no change.
        detector.network = None;
        assert!(!detector.has_woken());
    }
}
