//! Connections, and the totals by rule and by listener.

use serde::{Deserialize, Serialize};

use super::{Process, Traffic};

/// `GET /v1/connections`: open connections, oldest first; with `?state=ended`, the last thousand
/// that have ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connections {
    pub connections: Vec<Connection>,
    /// Whether some were left out because of the limit.
    pub truncated: bool,
}

/// A connection: one request, its dial and its relay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connection {
    /// Its id, unique within one run.
    pub id: u64,
    /// `waiting`, `opening`, `relaying`, `half_closed` or `ended`.
    pub state: String,
    /// The time that it has been in this state.
    pub in_state: u64,
    /// How it ended: `clean`, `cut`, `client_gone`, `no_room`, `killed`, or why it failed.
    pub outcome: Option<String>,
    /// The reason for a failure, in a sentence.
    pub failure: Option<String>,
    /// The listener, by its name in rules.
    pub listener: String,
    /// `socks4`, `socks4a`, `socks5`, `connect`, `http` or `forward`.
    pub protocol: String,
    /// The client's address, or `unix`.
    pub source: String,
    pub user: Option<String>,
    pub process: Option<Process>,
    /// The target, as `host:port` or a socket's path.
    pub target: String,
    /// The rule that decided the route; null for the default.
    pub rule: Option<String>,
    /// The server; null if it goes direct, or has no server yet.
    pub server: Option<String>,
    pub session: Option<u64>,
    /// The time when its request was complete.
    pub began: u64,
    /// The time since then.
    pub age: u64,
    pub stages: Stages,
    pub traffic: Traffic,
    /// The bytes buffered in memory for the client.
    pub waiting_memory: u64,
    /// The bytes buffered in a file for the client.
    pub waiting_disk: u64,
    /// The time for which data from the client has waited for the server's window.
    pub stalled: f64,
    /// What holds it up, in a sentence; null if nothing visible does.
    pub remark: Option<String>,
}

/// The durations of the stages; null for one that is not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stages {
    /// From the request until the rules had decided.
    pub decided: Option<f64>,
    /// From the decision until there was a session.
    pub waited: Option<f64>,
    /// The far side's look-up and connect, and one round trip.
    pub opened: Option<f64>,
    /// From the opened channel until the target's first byte.
    pub first_byte: Option<f64>,
    pub total: Option<f64>,
}

/// `GET /v1/rules`: the rules in order, then the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rules {
    pub rules: Vec<Rule>,
}

/// A rule, with its totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    /// Its name; `(default)` for the default.
    pub name: String,
    /// `via SERVER, …`, `direct` or `reject`.
    pub action: String,
    /// The finished requests that it decided.
    pub hits: u64,
    /// Their bytes, in both directions.
    pub bytes: u64,
    /// The time when the last of them ended.
    pub last_hit: Option<u64>,
}

/// `GET /v1/listeners`: totals by listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listeners {
    /// The listeners, by their names in rules.
    pub listeners: Vec<Listener>,
}

/// The totals of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listener {
    pub name: String,
    pub names: u64,
    pub addresses: u64,
    /// Requests to a proxy for public addresses, from clients that also ask for names: they seem to look
    /// some names up by themselves.
    pub suspicious: u64,
}
