//! What lives: connections, listeners and forwards, and what was counted of them.
//!
//! Each stage writes to a handle of its own and knows nothing of the others:
//!
//! ```text
//! listen ──► Forward       accepted a client
//! dial   ──► Connection  decided, waits, opens, opened
//! channel ─► Connection  bytes, first byte, ends of the two directions
//! relay  ──► Connection  what waits for the client, how it ended
//! pool   ──► ServerLog   attempts, sessions that came and went
//! ```
//!
//! Whoever looks on (the control socket, the metrics, a terminal) reads atomics and copies, and holds
//! no lock that a stage would wait for longer than it takes to copy a table of pointers.
//!
//! All labels come from closed sets: the enums here, and names of the configuration. What a client
//! says (a target, a user) is kept with its connection only, and forgotten with it.

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

/// All that lives in one program. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The connections.
    pub connections: Connections,
    /// The listeners and forwards.
    pub forwards: Forwards,
    /// What was counted since the start.
    pub tallies: Tallies,
    /// What happens.
    pub events: Events,
}

impl Registry {
    /// What the pool of one server writes to.
    pub fn server_log(&self, server: &std::sync::Arc<str>) -> ServerLog {
        ServerLog::new(server, &self.tallies, self.events.clone())
    }
}

impl Default for Registry {
    /// Nothing lives yet.
    fn default() -> Self {
        let (tallies, events) = (Tallies::default(), Events::default());
        Self {
            connections: Connections::new(tallies.clone(), events.clone()),
            forwards: Forwards::new(events.clone()),
            tallies,
            events,
        }
    }
}
