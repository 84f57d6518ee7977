//! Counters since the start, by names from the configuration.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use strum::VariantArray as _;

use super::connection::Connection;
use super::figures::Traffic;
use super::histogram::Histogram;
use super::look_ups::LookUps;
use super::outcome::Outcome;
use super::server_log::{AttemptEnd, SessionEnd};
use crate::destination::Host;
use crate::lock::lock;
use crate::request::Protocol;

/// The name under which direct connections are counted.
pub const CARRIED_DIRECT: &str = "(direct)";
/// The name under which requests that nothing carried are counted.
pub const CARRIED_BY_NONE: &str = "(none)";

/// All counters.
#[derive(Debug, Default)]
pub struct Tallies {
    /// By server; `(direct)` and `(none)` for requests without one.
    pub servers: Names<ServerTally>,
    /// Of each rule, and under [`DEFAULT_RULE`].
    pub rules: Names<RuleTally>,
    /// By listener.
    pub listeners: Names<ListenerTally>,
    /// The bytes of removed servers.
    forgotten: Mutex<Traffic>,
}

/// The counters of one server, or of requests without one.
#[derive(Debug, Default)]
pub struct ServerTally {
    /// Ended connections, by [`Outcome`].
    pub outcomes: [AtomicU64; Outcome::VARIANTS.len()],
    /// Attempts to connect, by [`AttemptEnd`].
    pub attempts: [AtomicU64; AttemptEnd::VARIANTS.len()],
    /// Ended sessions, by [`SessionEnd`].
    pub ended: [AtomicU64; SessionEnd::VARIANTS.len()],
    /// Durations from the first packet to the login.
    pub login: Histogram,
    /// How long requests waited for a session.
    pub waited: Histogram,
    /// How long the far side took for look-up and connect.
    pub opened: Histogram,
    /// Time until the first byte from the target.
    pub first_byte: Histogram,
    /// Total durations of established connections.
    pub duration: Histogram,
    /// Bytes of ended connections from clients.
    pub up: AtomicU64,
    /// Bytes of ended connections to clients.
    pub down: AtomicU64,
    /// How long data has waited for the server's window, in microseconds.
    pub stalled: AtomicU64,
}

/// The counters of one rule.
#[derive(Debug, Default)]
pub struct RuleTally {
    /// Requests that it decided.
    pub hits: AtomicU64,
    /// Bytes of ended connections in both directions.
    pub bytes: AtomicU64,
    /// The last hit, in seconds since the epoch; 0 for none.
    pub last: AtomicU64,
}

/// The counters of one listener.
#[derive(Debug, Default)]
pub struct ListenerTally {
    /// Requests, by [`Protocol`].
    pub protocols: [AtomicU64; Protocol::VARIANTS.len()],
    /// Requests for a name.
    pub names: AtomicU64,
    /// Requests for an address.
    pub addresses: AtomicU64,
    look_ups: LookUps,
}

/// Counters by name.
#[derive(Debug, Default)]
pub struct Names<T>(RwLock<BTreeMap<Arc<str>, Arc<T>>>);

impl Tallies {
    /// Removes other servers and rules; the bytes of the servers are kept.
    pub(super) fn keep(&self, server: impl Fn(&str) -> bool, rule: impl Fn(&str) -> bool) {
        let carried = |name: &str| name == CARRIED_DIRECT || name == CARRIED_BY_NONE;
        for (_, tally) in self.servers.keep(|name| carried(name) || server(name)) {
            *lock(&self.forgotten) += tally.bytes();
        }
        self.rules.keep(|name| name == DEFAULT_RULE || rule(name));
    }

    /// The bytes of ended connections of removed servers.
    pub(super) fn forgotten(&self) -> Traffic {
        *lock(&self.forgotten)
    }

    pub(super) fn count(&self, connection: &Connection, outcome: Outcome) {
        let (stages, traffic) = (connection.stages(), connection.traffic());
        let server = self.servers.of(&connection.carrier());
        server.outcomes[outcome as usize].fetch_add(1, Relaxed);
        server.up.fetch_add(traffic.up, Relaxed);
        server.down.fetch_add(traffic.down, Relaxed);
        let stalled = u64::try_from(connection.stalled().as_micros()).unwrap_or(u64::MAX);
        server.stalled.fetch_add(stalled, Relaxed);
        for (stage, histogram) in [
            (stages.waited, &server.waited),
            (stages.opened, &server.opened),
            (stages.first_byte, &server.first_byte),
            (stages.opened.and(stages.total), &server.duration),
        ] {
            if let Some(took) = stage {
                histogram.observe(took);
            }
        }
        if stages.decided.is_some() {
            let rule = connection.rule();
            let rule = self.rules.of(rule.as_deref().unwrap_or(DEFAULT_RULE));
            rule.hits.fetch_add(1, Relaxed);
            rule.bytes.fetch_add(traffic.up + traffic.down, Relaxed);
            rule.last.store(now(), Relaxed);
        }
        let request = connection.request();
        let listener = self.listeners.of(&request.listener);
        listener.protocols[request.protocol as usize].fetch_add(1, Relaxed);
        match request.target.host() {
            Some(Host::Name(_)) => listener.names.fetch_add(1, Relaxed),
            Some(Host::Ip(_)) => listener.addresses.fetch_add(1, Relaxed),
            None => 0,
        };
        listener.look_ups.count(request);
    }
}

impl ServerTally {
    /// The number of connections with this outcome.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Relaxed)
    }

    /// The bytes of ended connections, from clients and to them.
    pub fn bytes(&self) -> Traffic {
        let (up, down) = (self.up.load(Relaxed), self.down.load(Relaxed));
        Traffic { up, down, ..Traffic::default() }
    }
}

impl RuleTally {
    /// Its hits, their bytes, and the time of the last one in milliseconds since the epoch.
    pub fn read(&self) -> (u64, u64, Option<u64>) {
        let last = Some(self.last.load(Relaxed)).filter(|last| *last > 0);
        (self.hits.load(Relaxed), self.bytes.load(Relaxed), last.map(|seconds| seconds * 1000))
    }
}

impl ListenerTally {
    /// The numbers of requests for names and for addresses.
    pub fn kinds(&self) -> (u64, u64) {
        (self.names.load(Relaxed), self.addresses.load(Relaxed))
    }

    /// Requests to a proxy for public addresses by clients that also ask for names: they seem to resolve some
    /// names themselves.
    pub fn suspicious(&self) -> u64 {
        self.look_ups.suspicious()
    }
}

impl<T: Default> Names<T> {
    /// The counters of this name, if there are any.
    pub fn find(&self, name: &str) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The counters of this name, created if needed.
    pub fn of(&self, name: &str) -> Arc<T> {
        self.find(name).unwrap_or_else(|| {
            let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(names.entry(name.into()).or_default())
        })
    }

    /// All counters with their names.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.iter().map(|(name, tally)| (Arc::clone(name), Arc::clone(tally))).collect()
    }

    /// Removes the other names, and returns their counters.
    fn keep(&self, keep: impl Fn(&str) -> bool) -> BTreeMap<Arc<str>, Arc<T>> {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (kept, forgotten) =
            mem::take(&mut *names).into_iter().partition(|(name, _)| keep(name));
        *names = kept;
        forgotten
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The listener of requests on standard input (`-W`).
pub const STDIO: &str = "stdio";
/// The name under which requests that no rule decided are counted.
pub const DEFAULT_RULE: &str = "(default)";
