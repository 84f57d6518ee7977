//! The status: the program, its servers and sessions, its listeners and forwards.

use serde::{Deserialize, Serialize};

use super::Traffic;

/// `GET /v1/status`: the status at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub instance: Instance,
    /// `starting`, `ready`, `degraded`, `down` or `draining`.
    pub state: String,
    /// The problems, a sentence each; empty if there are none.
    pub health: Vec<Trouble>,
    /// The configuration file; null for a command line with a host.
    pub configuration: Option<Configuration>,
    pub connections: ConnectionCounts,
    /// The traffic of all connections.
    pub traffic: Traffic,
    /// The local programs with the most connections, as far as they are known.
    pub programs: Vec<ClientProgram>,
    /// The SSH servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Listeners and forwards, in the order of their creation.
    pub forwards: Vec<Forward>,
}

/// The program that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Instance {
    /// The name of its control socket.
    pub name: String,
    pub version: String,
    pub pid: u32,
    /// A random id of this run, within which the ids of connections, sessions and forwards are unique.
    pub run: String,
    pub started: u64,
    pub uptime: u64,
    /// The log level: `quiet`, `normal`, `debug` or `trace`.
    pub log: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trouble {
    /// The kind of thing affected: `server`, `listener`, `forward` or `configuration`.
    pub what: String,
    pub name: String,
    /// The problem, in a sentence.
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Configuration {
    pub file: String,
    /// The number of successful reloads.
    pub reloads: u64,
    /// The mistakes in the file when it was last read; empty if it is in force as it is.
    pub mistakes: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConnectionCounts {
    /// All since the start.
    pub total: u64,
    /// Those that wait for a session, or for a local look-up.
    pub waiting: usize,
    /// Those that wait for the far side's answer.
    pub opening: usize,
    /// Those that carry data, in one direction or both.
    pub relaying: usize,
    /// Those that have failed since the start.
    pub failed: u64,
}

/// A local program, with all of its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientProgram {
    /// Its name, as the system knows it.
    pub name: String,
    pub connections: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    /// Its name in the rules.
    pub name: String,
    /// `ready`, `pending` or `down`.
    pub state: String,
    /// Why there is no session, or one less; empty if nothing is wrong.
    pub reason: String,
    /// Whether it forwards: `proved` (a channel worked in the last minute), `forbidden`, `silent` (it does not
    /// answer) or `unknown` (not tried since; `?probe=true` tries).
    pub path: String,
    /// Why it is not proved, in a sentence.
    pub path_reason: Option<String>,
    /// Failed attempts since there was last a session.
    pub failures: usize,
    /// The time until the next attempt, after a failure.
    pub next_attempt: Option<u64>,
    pub last_loss: Option<Loss>,
    /// Requests that wait for a session.
    pub waiting: usize,
    /// The fewest sessions.
    pub min: Option<usize>,
    /// The most sessions.
    pub max: Option<usize>,
    /// The traffic of its sessions' channels.
    pub traffic: Traffic,
    /// The shortest of the sessions' last round trips.
    pub round_trip: Option<f64>,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// The jump hosts on the way to it that have been passed so far, nearest first.
    pub jumps: Vec<Jump>,
}

/// A jump host (`ProxyJump`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Jump {
    /// Its name, as the user or ssh's configuration writes it.
    pub name: String,
    /// `ready`, `pending` or `down`.
    pub state: String,
    /// Why there is no session, or one less; empty if nothing is wrong.
    pub reason: String,
    /// The number of sessions to it.
    pub sessions: usize,
    /// The shortest of their last round trips.
    pub round_trip: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Loss {
    pub age: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    /// Its id, unique within one run.
    pub id: u64,
    /// `ready`, `stuck` (the server has not answered for a while) or `draining`.
    pub state: String,
    /// The time since the login.
    pub age: u64,
    pub round_trip: Option<f64>,
    /// The shortest round trip so far. If the last one took much longer, the link is saturated.
    pub best_round_trip: Option<f64>,
    /// Channels that are open or being opened.
    pub channels: usize,
    /// Those of them that the server has not confirmed yet.
    pub opening: usize,
    /// Those of them with traffic in the last second.
    pub active: usize,
    /// Those of them with much traffic.
    pub bulk: usize,
    /// Those of them whose client does not keep up.
    pub slow_readers: usize,
    /// Those of them that have stopped reading, and block the session.
    pub held: usize,
    /// The traffic of its channels.
    pub traffic: Traffic,
    /// The window: how many bytes the server may send ahead on a channel.
    pub window: u32,
    pub host_key_type: String,
    /// The fingerprint of the host key, as `SHA256:…`.
    pub host_key: String,
    pub key_exchange: String,
    /// The cipher for data from the server.
    pub cipher: String,
}

/// A listener or a forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Forward {
    /// Its id, unique within one run.
    pub id: u64,
    /// `dynamic` (a proxy here), `local` (`-L`) or `remote` (`-R`).
    pub kind: String,
    /// `configuration`, `command_line` or `run_time`.
    pub origin: String,
    /// Its name in rules, if that is not its address.
    pub name: Option<String>,
    /// The forward, in ssh's syntax.
    pub spec: String,
    /// The server that listens, if one does.
    pub server: Option<String>,
    /// `asking`, `listening`, `refused` or `gone`.
    pub state: String,
    /// The addresses on which clients are accepted.
    pub addresses: Vec<String>,
    /// The reason why none are accepted.
    pub reason: Option<String>,
    /// The number of clients accepted so far.
    pub accepted: u64,
    /// Requests to a proxy for public addresses, from clients that also ask for names: they seem to look
    /// some names up by themselves.
    pub suspicious: u64,
}
