//! The schema of `/v1`, which the control socket, its clients and every view share.
//!
//! Names are in snake case. Durations are in milliseconds (with fractions for stages), sizes in
//! bytes, rates in bytes per second, and points in time in milliseconds since the epoch, with an age
//! next to them so that no client needs a clock. Clients ignore unknown fields, and treat unknown
//! words as opaque. Text from outside is not escaped: whoever displays it must do so.

mod connections;
mod requests;
mod status;

use serde::{Deserialize, Serialize};

pub(crate) use connections::{Connection, Connections, Listener, Listeners, Rule, Rules, Stages};
pub(crate) use requests::{
    Closed, DashboardLink, ForwardRequest, Forwards, LogRequest, Ping, PingRequest, Problem,
    Reloaded, StopRequest,
};
pub(crate) use status::{
    ClientProgram, Configuration, ConnectionCounts, Forward, Instance, Jump, Loss, Server, Session,
    Status, Trouble,
};

pub(crate) use crate::registry::Traffic;
pub(crate) use crate::stream::Process;

/// An event of `GET /v1/events`; its kind is the event's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The complete state, which replaces all that the client knows. Sent first, and after events were lost.
    Reset {
        status: Box<Status>,
        connections: Vec<Connection>,
    },
    ConnectionOpened {
        connection: Box<Connection>,
    },
    ConnectionClosed {
        /// The connection, with its outcome.
        connection: Box<Connection>,
    },
    /// Sent once a second: the status, and the connections that have changed since the last one.
    Tick {
        status: Box<Status>,
        /// The connections with new traffic or a new state.
        connections: Vec<Connection>,
    },
    SessionUp {
        server: String,
        session: u64,
    },
    SessionDown {
        server: String,
        session: u64,
        /// `lost` or `retired`.
        end: String,
        reason: String,
    },
    /// A failed attempt to connect to a server.
    AttemptFailed {
        server: String,
        reason: String,
    },
    /// A listener or forward has changed its state.
    Forward {
        forward: Forward,
    },
    /// A new configuration is in force, or was refused.
    Reloaded {
        text: String,
    },
}
