//! What `/v1` says: the one schema that the control socket, its commands and every view share.
//!
//! Names are in snake case. Durations are milliseconds (with fractions where they are stages), sizes
//! are bytes, rates are bytes a second, points in time are milliseconds since the epoch, with an age
//! beside them so that nobody needs a clock. A reader ignores fields that it does not know, and takes
//! a word that it does not know as it is. Texts from outside are as they came, escaped by nobody:
//! whoever shows them makes them safe.

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
    /// Forget what you know: this is all of it. The first of a stream, and where some were lost.
    Reset {
        status: Box<Status>,
        connections: Vec<Connection>,
    },
    ConnectionOpened {
        connection: Box<Connection>,
    },
    ConnectionClosed {
        /// It, with all that became of it.
        connection: Box<Connection>,
    },
    /// Once a second: the status, and the connections that changed since.
    Tick {
        status: Box<Status>,
        /// Those that moved something, or stand elsewhere.
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
    /// An attempt to connect to a server has failed.
    AttemptFailed {
        server: String,
        reason: String,
    },
    /// A listener or forward stands elsewhere.
    Forward {
        forward: Forward,
    },
    /// Another configuration is in force, or was refused.
    Reloaded {
        text: String,
    },
}
