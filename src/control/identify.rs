//! Which programs of this machine the clients are: looked up when somebody looks on, never on a
//! connection's way.

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

/// When the next look-up may be: one at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct LookUps(Arc<Mutex<Option<Instant>>>);

impl Program {
    /// Finds out which programs the clients of all living connections are, as far as nobody has asked
    /// for them yet. Each connection is looked up once; all look-ups together take no more than a
    /// [small part](REST) of one processor, so that a new connection may have to wait for the next.
    /// One that takes [long](PATIENCE) is not waited for.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time: a look-up that has begun goes on.
    pub(crate) async fn identify(&self) {
        // Whoever asks has it the next time.
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
        // It does not panic.
        let _ = done.await;
    }

    /// The ports at which clients come in on this machine.
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

/// After a look-up there is none for so many times as long as it took.
const REST: u32 = 20;
/// For so long a look-up is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
