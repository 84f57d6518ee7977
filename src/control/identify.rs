//! Finds out which local programs the clients are. This happens when an observer asks, and never in
//! the path of a connection.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::program::Program;
use crate::registry::{Connection, ForwardState};
use crate::request::Source;
use crate::stream::processes::{canonical, holders};

/// The earliest time of the next look-up; the lock admits one at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct LookUps(Arc<Mutex<Option<Instant>>>);

impl Program {
    /// Identifies the programs of the clients of all open connections that have not been looked up
    /// yet. Each connection is looked up once; all look-ups together take no more than a [small
    /// part](REST) of one processor, so that a new connection may have to wait for the next one. A
    /// look-up that takes [long](PATIENCE) is not waited for.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time: a look-up in progress continues.
    pub(crate) async fn identify(&self) {
        // On a timeout, the result is there for the next request.
        let _ = timeout(PATIENCE, self.look_up()).await;
    }

    async fn look_up(&self) {
        let mut not_before = Arc::clone(&self.0.look_ups.0).lock_owned().await;
        if not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        let mut unknown = self.0.registry.connections.living();
        unknown.retain(|connection| !connection.has_been_identified());
        let (clients, others): (Vec<_>, Vec<_>) =
            unknown.into_iter().partition(|connection| client_of(connection).is_some());
        for other in others {
            other.identify(None);
        }
        if clients.is_empty() {
            return;
        }
        let ports = self.ports();
        let done = spawn_blocking(move || {
            let began = Instant::now();
            identify(&clients, &ports);
            *not_before = Some(Instant::now() + began.elapsed() * REST);
        });
        // An error is impossible: the task does not panic.
        let _ = done.await;
    }

    /// The local ports on which clients are accepted.
    fn ports(&self) -> HashSet<u16> {
        let forwards = self.0.registry.forwards.all();
        let here = forwards.iter().filter(|forward| forward.about().server.is_none());
        let addresses = here.filter_map(|forward| match forward.state() {
            ForwardState::Listening(addresses) => Some(addresses),
            ForwardState::Asking | ForwardState::Refused(_) | ForwardState::Gone => None,
        });
        let ports = addresses
            .flatten()
            .filter_map(|address| address.parse::<SocketAddr>().ok().map(|address| address.port()));
        ports.collect()
    }
}

fn identify(clients: &[Arc<Connection>], ports: &HashSet<u16>) {
    let addresses = clients.iter().filter_map(|client| client_of(client)).collect();
    let found = holders(&addresses, ports).into_iter();
    let found: HashMap<_, _> = found.map(|(client, process)| (client, Arc::new(process))).collect();
    for client in clients {
        let process = client_of(client).and_then(|address| found.get(&address).cloned());
        client.identify(process);
    }
}

/// The address of a client on this machine.
fn client_of(connection: &Connection) -> Option<SocketAddr> {
    match connection.request().source {
        Source::Tcp(address) => Some(canonical(address)).filter(|a| a.ip().is_loopback()),
        Source::Remote(_) | Source::Unix => None,
    }
}

/// The pause after a look-up, as a multiple of its duration.
const REST: u32 = 20;
/// The longest wait for a look-up.
const PATIENCE: Duration = Duration::from_millis(500);
