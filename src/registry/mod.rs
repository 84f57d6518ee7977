//! The live state: connections, listeners and forwards, and their counters.
//!
//! Each stage writes to its own handle and knows nothing of the others:
//!
//! ```text
//! listen ──► Forward       accepted a client
//! dial   ──► Connection  decided, waits, opens, opened
//! channel ─► Connection  bytes, first byte, ends of the two directions
//! relay  ──► Connection  what waits for the client, how it ended
//! pool   ──► ServerLog   attempts, sessions that came and went
//! ```
//!
//! Readers (the control socket, the metrics, a terminal) load atomics and copy, and hold no lock for longer
//! than it takes to copy a table of pointers.
//!
//! All labels come from closed sets: the enums here, and names from the configuration. What a client sends (a
//! target, a user) is kept only with its connection, and discarded with it.

use std::sync::Arc;

mod connection;
mod connections;
mod event;
mod figures;
mod forward;
mod histogram;
mod look_ups;
mod outcome;
mod server_log;
mod tally;

pub use connection::Connection;
pub use connections::{Connections, Tracked};
pub use event::{Event, Events};
pub use figures::{Stages, Traffic, Waiting};
pub use forward::{Forward, ForwardKind, ForwardState, Forwards, NewForward, Origin, Registered};
pub use histogram::{BOUNDS, Histogram};
pub use outcome::{Outcome, State};
pub use server_log::{AttemptEnd, ServerLog, SessionEnd};
pub use tally::{
    CARRIED_BY_NONE, CARRIED_DIRECT, DEFAULT_RULE, ListenerTally, Names, RuleTally, STDIO,
    ServerTally, Tallies,
};

/// The live state of the program. Clones share it.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The connections.
    pub connections: Connections,
    /// The listeners and forwards.
    pub forwards: Forwards,
    /// The counters since the start.
    pub tallies: Arc<Tallies>,
    /// What happens.
    pub events: Events,
}

impl Registry {
    /// The handle to which the pool of one server writes.
    pub fn server_log(&self, server: &Arc<str>) -> ServerLog {
        ServerLog::new(server, &self.tallies, self.events.clone())
    }
}

impl Default for Registry {
    /// An empty registry.
    fn default() -> Self {
        let (tallies, events) = (Arc::<Tallies>::default(), Events::default());
        Self {
            connections: Connections::new(Arc::clone(&tallies), events.clone()),
            forwards: Forwards::new(events.clone()),
            tallies,
            events,
        }
    }
}
