//! The connections, and what was counted of them by rule and by listener.

use serde::{Deserialize, Serialize};

use super::{Process, Traffic};

/// `GET /v1/connections`: those that live, the oldest first; with `?state=ended`, the last thousand
/// that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connections {
    /// Those that the query asks for.
    pub connections: Vec<Connection>,
    /// Whether there are more than the limit lets be shown.
    pub truncated: bool,
}

/// A connection: one request, its dial and its relay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connection {
    /// Its number, never given twice in one run.
    pub id: u64,
    /// `waiting`, `opening`, `relaying`, `half_closed` or `ended`.
    pub state: String,
    /// How long it has been in that state.
    pub in_state: u64,
    /// How it ended: `clean`, `cut`, `client_gone`, `no_room`, `killed`, or why it failed.
    pub outcome: Option<String>,
    /// Why it failed, in a sentence.
    pub failure: Option<String>,
    /// Where it came in, as the rules name it.
    pub listener: String,
    /// `socks4`, `socks4a`, `socks5`, `connect`, `http` or `forward`.
    pub protocol: String,
    /// The client's address, or `unix`.
    pub source: String,
    pub user: Option<String>,
    /// The client's program, where it can be known.
    pub process: Option<Process>,
    /// Where to, as `host:port` or a socket's path.
    pub target: String,
    /// The rule that said which way; none where the default did.
    pub rule: Option<String>,
    /// The server; none for one that goes direct, or nowhere yet.
    pub server: Option<String>,
    /// The session's number.
    pub session: Option<u64>,
    /// When its request was complete.
    pub began: u64,
    /// How long ago that was.
    pub age: u64,
    /// How long each stage took.
    pub stages: Stages,
    /// Its bytes.
    pub traffic: Traffic,
    /// What waits for the client in memory.
    pub waiting_memory: u64,
    /// What waits for the client in a file.
    pub waiting_disk: u64,
    /// For how long what the client sent has waited for the server's window.
    pub stalled: f64,
    /// What holds it up, in a sentence; none where nothing does that could be seen.
    pub remark: Option<String>,
}

/// How long the stages took; null for one that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stages {
    /// Until the rules had decided.
    pub decided: Option<f64>,
    /// From then on until there was a session.
    pub waited: Option<f64>,
    /// What the far side needed: look-up and connect together, and one round trip.
    pub opened: Option<f64>,
    /// From then on until the target sent its first byte.
    pub first_byte: Option<f64>,
    pub total: Option<f64>,
}

/// `GET /v1/rules`: in their order, the default last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rules {
    pub rules: Vec<Rule>,
}

/// A rule, and what it was good for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    /// Its name; `(default)` for what no rule names.
    pub name: String,
    /// `via SERVER, …`, `direct` or `reject`.
    pub action: String,
    /// Requests that it decided and that are over.
    pub hits: u64,
    /// Their bytes, both ways.
    pub bytes: u64,
    /// When the last of them ended.
    pub last_hit: Option<u64>,
}

/// `GET /v1/listeners`: what came in where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listeners {
    /// By the names that rules have for them.
    pub listeners: Vec<Listener>,
}

/// What came in at one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listener {
    pub name: String,
    /// Requests for a name.
    pub names: u64,
    pub addresses: u64,
    /// Requests to a proxy for public addresses, by clients that ask for names as well: as it seems, they
    /// look some names up by themselves.
    pub suspicious: u64,
}
