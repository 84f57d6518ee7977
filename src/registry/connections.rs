//! The live connections, and the last ones that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use super::connection::Connection;
use super::event::{Event, Events};
use super::figures::Traffic;
use super::outcome::Outcome;
use super::tally::Tallies;
use crate::lock::lock;
use crate::request::Request;

/// The live connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    last: AtomicU64,
    /// Sharded by the remainder of the number.
    shards: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
    /// The last ones that ended, the newest last. Locked while a connection moves from the live to the counted
    /// ones.
    ended: Mutex<VecDeque<Arc<Connection>>>,
    tallies: Arc<Tallies>,
    events: Events,
}

/// A connection owned by its task. If dropped without an outcome, it counts as left by its client.
#[derive(Debug)]
pub struct Tracked {
    connection: Arc<Connection>,
    table: Arc<Table>,
}

impl Connections {
    pub(super) fn new(tallies: Arc<Tallies>, events: Events) -> Self {
        Self(Arc::new(Table { tallies, events, ..Table::default() }))
    }

    /// Adds a connection for a request.
    pub fn begin(&self, request: &Request) -> Tracked {
        let table = &self.0;
        let id = table.last.fetch_add(1, Relaxed) + 1;
        let connection = Arc::new(Connection::new(id, request.clone()));
        lock(table.shard(id)).insert(id, Arc::clone(&connection));
        table.events.tell(|| Event::ConnectionOpened(Arc::clone(&connection)));
        Tracked { connection, table: Arc::clone(table) }
    }

    /// The live connection with this number.
    pub fn find(&self, id: u64) -> Option<Arc<Connection>> {
        lock(self.0.shard(id)).get(&id).cloned()
    }

    /// The live connections, the oldest first.
    pub fn living(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self
            .0
            .shards
            .iter()
            .flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
            .collect();
        all.sort_unstable_by_key(|connection| connection.id());
        all
    }

    /// The last thousand that ended, the oldest first.
    pub fn ended(&self) -> Vec<Arc<Connection>> {
        lock(&self.0.ended).iter().cloned().collect()
    }

    /// The number of live connections.
    pub fn count(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// The number of connections since the start.
    pub fn total(&self) -> u64 {
        self.0.last.load(Relaxed)
    }

    /// The bytes of live and ended connections, by carrier: the server, or the name for none. Each connection
    /// counts exactly once, so that no sum decreases until a reload removes its server.
    pub fn carried(&self) -> BTreeMap<Arc<str>, Traffic> {
        let nothing_passes = lock(&self.0.ended);
        self.sums(&nothing_passes)
    }

    /// The bytes of all connections since the start, including those of removed servers.
    pub fn traffic(&self) -> Traffic {
        let nothing_passes = lock(&self.0.ended);
        let mut sum = self.0.tallies.forgotten();
        self.sums(&nothing_passes).into_values().for_each(|traffic| sum += traffic);
        sum
    }

    /// Removes servers and rules that are no longer configured; the bytes of the servers are kept.
    pub fn keep(&self, server: impl Fn(&str) -> bool, rule: impl Fn(&str) -> bool) {
        let _nothing_passes = lock(&self.0.ended);
        self.0.tallies.keep(server, rule);
    }

    fn sums(
        &self,
        _nothing_passes: &MutexGuard<'_, VecDeque<Arc<Connection>>>,
    ) -> BTreeMap<Arc<str>, Traffic> {
        let servers = self.0.tallies.servers.all().into_iter();
        let mut carried: BTreeMap<_, _> =
            servers.map(|(name, tally)| (name, tally.bytes())).collect();
        for connection in self.living().iter().filter(|connection| connection.is_open()) {
            *carried.entry(connection.carrier()).or_default() += connection.traffic();
        }
        carried
    }

    /// Ends a beat; must be called once a second, for the rates.
    pub fn beat(&self) {
        for shard in &self.0.shards {
            lock(shard).values().for_each(|connection| connection.beat());
        }
    }
}

impl Tracked {
    /// The connection itself, for recording.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Ends it with an outcome.
    pub fn end(self, outcome: Outcome) {
        self.finish(outcome);
    }

    /// Ends it with a failure; `why` is printable.
    pub fn fail(self, outcome: Outcome, why: String) {
        self.connection.fail(why);
        self.finish(outcome);
    }

    fn finish(&self, outcome: Outcome) {
        let (connection, table) = (&self.connection, &self.table);
        if !connection.end(outcome) {
            return;
        }
        {
            let mut ended = lock(&table.ended);
            lock(table.shard(connection.id())).remove(&connection.id());
            table.tallies.count(connection, outcome);
            if ended.len() >= MOST_ENDED {
                ended.pop_front();
            }
            ended.push_back(Arc::clone(connection));
        }
        table.events.tell(|| Event::ConnectionClosed(Arc::clone(connection)));
    }
}

impl Deref for Tracked {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.finish(Outcome::ClientGone);
    }
}

impl Table {
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<Connection>>> {
        // The remainder is below the number of shards.
        #[expect(clippy::cast_possible_truncation, reason = "a remainder")]
        &self.shards[(id % SHARDS as u64) as usize]
    }
}

/// The number of ended connections that are kept.
const MOST_ENDED: usize = 1000;
/// More shards than most machines have processors.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::for_test("db.example:5432")
    }

    #[test]
    fn a_connection_lives_until_its_owner_ends_it() {
        let connections = Connections::default();
        let (one, two) = (connections.begin(&request()), connections.begin(&request()));
        let ids = |all: Vec<Arc<Connection>>| all.iter().map(|c| c.id()).collect::<Vec<_>>();
        assert_eq!(ids(connections.living()), [1, 2]);
        two.end(Outcome::Clean);
        drop(one);
        assert_eq!((connections.count(), connections.total()), (0, 2));
        let ended: Vec<_> = connections.ended().iter().map(|c| (c.id(), c.outcome())).collect();
        assert_eq!(ended, [(2, Some(Outcome::Clean)), (1, Some(Outcome::ClientGone))]);
        assert!(connections.find(1).is_none());
    }

    #[test]
    fn only_the_last_ended_connections_are_kept() {
        let connections = Connections::default();
        for _ in 0..MOST_ENDED + 5 {
            connections.begin(&request()).end(Outcome::Cut);
        }
        let ended = connections.ended();
        assert_eq!((ended.len(), ended[0].id()), (MOST_ENDED, 6));
    }

    #[test]
    fn carried_bytes_never_decrease_and_count_once() {
        let connections = Connections::default();
        let carry = |bytes| {
            let tracked = connections.begin(&request());
            tracked.asked(None, 0);
            tracked.opened();
            tracked.sent(bytes);
            tracked
        };
        let direct = || connections.traffic().up;
        let living = carry(7);
        assert_eq!(direct(), 7);
        living.end(Outcome::Clean);
        assert_eq!(direct(), 7);
        std::thread::scope(|scope| {
            let carriers = [0; 2].map(|_| scope.spawn(|| (0..20_000).for_each(|_| drop(carry(1)))));
            let mut before = 7;
            while carriers.iter().any(|carrier| !carrier.is_finished()) {
                let now = direct();
                assert!(now >= before, "{before}, and then {now}");
                before = now;
            }
        });
        assert_eq!(direct(), 40_007);
        let server = carry(5);
        server.asked(Some(&"gone".into()), 0);
        server.end(Outcome::Clean);
        connections.keep(|_| false, |_| false);
        assert!(!connections.carried().contains_key("gone"));
        assert_eq!(direct(), 40_012);
    }

    #[tokio::test]
    async fn subscribers_receive_both_events() {
        let connections = Connections::default();
        drop(connections.begin(&request()));
        let mut heard = connections.0.events.listen();
        connections.begin(&request()).fail(Outcome::NoSession, "away".into());
        assert!(matches!(heard.recv().await, Ok(Event::ConnectionOpened(c)) if c.id() == 2));
        let closed = heard.recv().await.expect("an event");
        let Event::ConnectionClosed(closed) = closed else { panic!("{closed:?}") };
        assert_eq!(closed.failure().as_deref(), Some("away"));
    }
}
