//! The order in which several servers are tried: a pure function of their states.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lock::lock;
use crate::pool::{Availability, PoolLoad};
use crate::route::Select;

/// The state of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) availability: Availability,
    /// None before the first measurement.
    pub(super) round_trip: Option<Duration>,
    pub(super) load: PoolLoad,
}

/// The server that was last used for each list of servers.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Vec<Arc<str>>, Arc<str>>>);

impl Memory {
    /// The last used one of `servers`.
    pub(super) fn last(&self, servers: &[Arc<str>]) -> Option<Arc<str>> {
        lock(&self.0).get(servers).cloned()
    }

    /// Records the used one of `servers`.
    pub(super) fn remember(&self, servers: &[Arc<str>], taken: &Arc<str>) {
        let mut memory = lock(&self.0);
        if memory.get(servers) == Some(taken) {
            return;
        }
        // Lists come from rules; those of replaced rules accumulate.
        if memory.len() >= MOST {
            memory.clear();
        }
        memory.insert(servers.to_vec(), Arc::clone(taken));
    }
}

/// The indices of the servers in the order to try. `last` is the last used one, which matters for `Latency`.
pub(super) fn order(select: Select, views: &[View], last: Option<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..views.len()).collect();
    let is_late = |&index: &usize| views[index].availability != Availability::Ready;
    // The sorts are stable, so that the configured order decides between equals.
    match select {
        Select::Order => {}
        Select::Latency => {
            let far = |index: &usize| views[*index].round_trip.unwrap_or(Duration::MAX);
            order.sort_by_key(|index| (is_late(index), far(index)));
            if let (Some(last), Some(&best)) = (last, order.first())
                && stays(&views[last], &views[best])
            {
                order.retain(|&index| index != last);
                order.insert(0, last);
            }
        }
        Select::Balance => order.sort_by_key(|index| (is_late(index), views[*index].load)),
    }
    order
}

/// Whether `best` is not sufficiently nearer to replace `last`.
fn stays(last: &View, best: &View) -> bool {
    let (Some(before), Some(now)) = (last.round_trip, best.round_trip) else { return false };
    let gain = before.saturating_sub(now);
    last.availability == Availability::Ready && (gain < before / 5 || gain < WORTHWHILE)
}

/// The gain below which a difference is noise.
const WORTHWHILE: Duration = Duration::from_millis(2);
/// The maximum number of lists, more than any configuration has rules.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(availability: Availability, round_trip: u64, active: usize) -> View {
        let round_trip = Some(round_trip).filter(|&ms| ms > 0).map(Duration::from_millis);
        View { availability, round_trip, load: PoolLoad { active, channels: active } }
    }

    #[test]
    fn order_ignores_the_state() {
        let views = [server(Availability::Down, 90, 9), server(Availability::Ready, 1, 0)];
        assert_eq!(order(Select::Order, &views, Some(1)), [0, 1]);
    }

    #[test]
    fn the_nearest_is_first_and_servers_without_a_session_are_last() {
        use Availability::{Down, Pending, Ready};
        let views = [
            server(Pending, 1, 0),
            server(Ready, 50, 0),
            server(Ready, 0, 0),
            server(Ready, 20, 0),
            server(Down, 2, 0),
        ];
        assert_eq!(order(Select::Latency, &views, None), [3, 1, 2, 0, 4]);
    }

    #[test]
    fn a_small_gain_does_not_change_the_server() {
        let change = |last, best| {
            let views =
                [server(Availability::Ready, last, 0), server(Availability::Ready, best, 0)];
            order(Select::Latency, &views, Some(0))[0] == 1
        };
        assert!(!change(100, 85), "less than a fifth");
        assert!(change(100, 70));
        assert!(!change(3, 2), "noise");
        assert!(change(0, 2), "it was never measured");
        let lost = [server(Availability::Pending, 10, 0), server(Availability::Ready, 12, 0)];
        assert_eq!(order(Select::Latency, &lost, Some(0)), [1, 0], "it has no session");
    }

    #[test]
    fn the_least_loaded_is_first() {
        use Availability::{Pending, Ready};
        let views = [server(Ready, 1, 7), server(Ready, 90, 2), server(Pending, 1, 0)];
        assert_eq!(order(Select::Balance, &views, None), [1, 0, 2]);
        let even = [server(Ready, 1, 2), server(Ready, 1, 2)];
        assert_eq!(order(Select::Balance, &even, None), [0, 1]);
    }

    #[test]
    fn the_last_used_server_is_remembered_for_each_list() {
        let (memory, both) = (Memory::default(), [Arc::from("a"), "b".into()]);
        assert_eq!(memory.last(&both), None);
        memory.remember(&both, &both[1]);
        assert_eq!(memory.last(&both).as_deref(), Some("b"));
        assert_eq!(memory.last(&["b".into()]), None);
    }
}
