//! Detects that the machine was asleep or that its network has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;

use crate::task;

/// Notifies all pools of the program when the machine has woken or its network has changed.
#[derive(Debug)]
pub(super) struct Wakes {
    woken: watch::Sender<()>,
    _task: AbortOnDropHandle<()>,
}

impl Wakes {
    /// Checks once a second until this is dropped.
    pub(super) fn begin() -> Self {
        let woken = watch::Sender::default();
        let sender = woken.clone();
        let look = async move {
            let mut detector = WakeDetector::new();
            let mut beat = interval(BEAT);
            loop {
                beat.tick().await;
                if detector.has_woken() {
                    sender.send_replace(());
                }
            }
        };
        Self { woken, _task: task::spawn(look) }
    }

    /// Changes at each detection from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.woken.subscribe()
    }
}

/// Compares the clocks and the network with their last state.
#[derive(Debug)]
struct WakeDetector {
    clocks: Clocks,
    /// The last fingerprint.
    network: Option<u64>,
}

impl WakeDetector {
    /// A detector with the current state.
    fn new() -> Self {
        Self { clocks: Clocks::read(), network: network() }
    }

    /// Whether the machine has slept or the network has changed since the last call.
    fn has_woken(&mut self) -> bool {
        let (clocks, network) = (Clocks::read(), network());
        let changed = network.is_some() && self.network.is_some() && network != self.network;
        let woken = clocks.asleep_since(self.clocks) > NOTICEABLE || changed;
        (self.clocks, self.network) = (clocks, network.or(self.network));
        woken
    }
}

/// The time on a clock that counts sleep, and on one that does not.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    with_sleep: Duration,
    without: Instant,
}

impl Clocks {
    fn read() -> Self {
        let time = clock_gettime(WITH_SLEEP);
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
        let with_sleep = Duration::new(time.tv_sec.unsigned_abs(), nanoseconds);
        Self { with_sleep, without: Instant::now() }
    }

    fn asleep_since(self, before: Self) -> Duration {
        let passed = self.with_sleep.saturating_sub(before.with_sleep);
        passed.saturating_sub(self.without - before.without)
    }
}

/// The clock that counts sleep. macOS's monotonic clock does, and [`Instant`] uses another one.
#[cfg(target_os = "linux")]
const WITH_SLEEP: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const WITH_SLEEP: ClockId = ClockId::Monotonic;

/// A fingerprint of the routes and the IPv6 addresses; none if it cannot be read for now, as when descriptors
/// have run out. A table that the system lacks counts as empty.
fn network() -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for line in table("/proc/net/route")?.lines() {
        // Interface, destination, gateway, flags, metric and mask; the other fields are counters.
        let fields: Vec<&str> = line.split_whitespace().collect();
        for index in [0, 1, 2, 3, 6, 7] {
            fields.get(index).hash(&mut hasher);
        }
    }
    addresses(&table("/proc/net/if_inet6")?, &mut hasher);
    Some(hasher.finish())
}

/// Hashes the IPv6 addresses except link-local ones: each container that starts adds one, without a new route.
fn addresses(table: &str, hasher: &mut impl Hasher) {
    for line in table.lines().filter(|line| !line.starts_with(LINK_LOCAL)) {
        // The flags, the fifth field, change during duplicate address detection.
        line.split_whitespace().take(4).for_each(|field| field.hash(hasher));
    }
}

/// A file of the system; empty if it does not exist, none if it cannot be read for now.
fn table(path: &str) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(table) => Some(table),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
        Err(_) => None,
    }
}

/// How link-local addresses (RFC 4291 section 2.5.6) begin in the kernel's notation.
const LINK_LOCAL: &str = "fe80";
/// The interval of the checks.
const BEAT: Duration = Duration::from_secs(1);
/// The tolerance for the two clocks not being read at the same moment.
const NOTICEABLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_detected_without_a_change() {
        assert!(!WakeDetector::new().has_woken());
    }

    #[test]
    fn a_link_local_address_is_no_network_change() {
        let hash = |table: &str| {
            let mut hasher = DefaultHasher::new();
            addresses(table, &mut hasher);
            hasher.finish()
        };
        let one = "fd000000000000000000000000000002 04 40 00 82     eth0\n";
        let link = "fe800000000000000000000000000001 06 40 20 80    veth7\n";
        let other = "20010db8000000000000000000000001 07 40 00 80    wlan0\n";
        assert_eq!(hash(one), hash(&[one, link].concat()));
        assert_ne!(hash(one), hash(&[one, other].concat()));
    }

    #[test]
    fn sleep_and_a_network_change_are_detected_once() {
        let mut detector = WakeDetector::new();
        detector.network = detector.network.map(|network| network ^ 1);
        assert!(detector.has_woken());
        assert!(!detector.has_woken());
        detector.clocks.with_sleep -= 2 * NOTICEABLE;
        assert!(detector.has_woken());
        assert!(!detector.has_woken());
        // A first reading after an unreadable one is no change.
        detector.network = None;
        assert!(!detector.has_woken());
    }
}
