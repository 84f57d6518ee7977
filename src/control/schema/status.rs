//! What there is: the program, its servers and sessions, its listeners and forwards.

use serde::{Deserialize, Serialize};

use super::Traffic;

/// `GET /v1/status`: what there is, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// Which program this is.
    pub instance: Instance,
    /// `starting`, `ready`, `degraded`, `down` or `draining`.
    pub state: String,
    /// What is wrong, a sentence each; empty where all is well.
    pub health: Vec<Trouble>,
    /// The configuration file; none for a command line with a host.
    pub configuration: Option<Configuration>,
    pub connections: ConnectionCounts,
    /// The bytes of all connections.
    pub traffic: Traffic,
    /// The programs of this machine that have the most connections, as far as they are known.
    pub programs: Vec<ClientProgram>,
    /// The SSH servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Listeners and forwards, in the order in which they came.
    pub forwards: Vec<Forward>,
}

/// Which program answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Instance {
    /// What its control socket is called.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Different for each run: numbers of connections, sessions and forwards count within it.
    pub run: String,
    /// When it began.
    pub started: u64,
    /// How long ago that was.
    pub uptime: u64,
    /// How much it logs: `quiet`, `normal`, `debug` or `trace`.
    pub log: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trouble {
    /// Of what: `server`, `listener`, `forward` or `configuration`.
    pub what: String,
    pub name: String,
    /// In a sentence.
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Configuration {
    /// Its path.
    pub file: String,
    /// How often it was read again and is in force.
    pub reloads: u64,
    /// What was wrong with it when it was last read; empty where it is in force as it is.
    pub mistakes: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConnectionCounts {
    /// Since the start.
    pub total: u64,
    /// For a session, or a look-up here.
    pub waiting: usize,
    /// For the far side's answer.
    pub opening: usize,
    /// Whose bytes go both ways, or one way.
    pub relaying: usize,
    /// That failed, since the start.
    pub failed: u64,
}

/// A program of this machine, whatever processes it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientProgram {
    /// Its name, as the system has it.
    pub name: String,
    /// How many of its connections live.
    pub connections: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Server {
    /// What the rules call it.
    pub name: String,
    /// `ready`, `pending` or `down`.
    pub state: String,
    /// Why there is no session, or one less; empty where nothing is wrong.
    pub reason: String,
    /// Whether it forwards: `proved` (a channel went through in the last minute), `forbidden`, `silent` (it does
    /// not answer) or `unknown` (nobody has tried since; `?probe=true` does).
    pub path: String,
    /// Why it is not proved, in a sentence.
    pub path_reason: Option<String>,
    /// Attempts that failed while there was no session.
    pub failures: usize,
    /// Until the next attempt, after one that failed.
    pub next_attempt: Option<u64>,
    /// The last session that was lost.
    pub last_loss: Option<Loss>,
    /// Requests that wait for a session.
    pub waiting: usize,
    /// The fewest sessions.
    pub min: Option<usize>,
    /// The most sessions.
    pub max: Option<usize>,
    /// The bytes of its sessions' channels.
    pub traffic: Traffic,
    /// The shortest of the sessions' last round trips.
    pub round_trip: Option<f64>,
    /// Its sessions, the oldest first.
    pub sessions: Vec<Session>,
    /// The servers on the way to it that were passed so far, the nearest first.
    pub jumps: Vec<Jump>,
}

/// A server on the way to another (`ProxyJump`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Jump {
    /// As the user, or ssh's configuration, calls it.
    pub name: String,
    /// `ready`, `pending` or `down`.
    pub state: String,
    /// Why there is no session, or one less; empty where nothing is wrong.
    pub reason: String,
    /// How many sessions there are to it.
    pub sessions: usize,
    /// The shortest of their last round trips.
    pub round_trip: Option<f64>,
}

/// A session that was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Loss {
    /// How long ago.
    pub age: u64,
    /// Why.
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    /// Its number, never given twice in one run.
    pub id: u64,
    /// `ready`, `stuck` (the server has not answered for a while) or `draining`.
    pub state: String,
    /// Since the login.
    pub age: u64,
    pub round_trip: Option<f64>,
    /// The shortest so far. Where the last one is much longer, the line is full.
    pub best_round_trip: Option<f64>,
    /// Channels that are open or being opened.
    pub channels: usize,
    /// Of these, those that the server has not confirmed yet.
    pub opening: usize,
    /// Of these, those that moved something in the last second.
    pub active: usize,
    /// Of these, those that moved much.
    pub bulk: usize,
    /// Of these, those whose client does not keep up.
    pub slow_readers: usize,
    /// Of these, those that have stopped taking, and hold the session.
    pub held: usize,
    /// Bytes of its channels.
    pub traffic: Traffic,
    /// How much the server may send ahead on a channel.
    pub window: u32,
    pub host_key_type: String,
    /// The fingerprint of the host key, as `SHA256:…`.
    pub host_key: String,
    pub key_exchange: String,
    /// The cipher from the server to us.
    pub cipher: String,
}

/// A listener or a forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Forward {
    /// Its number, never given twice in one run.
    pub id: u64,
    /// `dynamic` (a proxy here), `local` (`-L`) or `remote` (`-R`).
    pub kind: String,
    /// `configuration`, `command_line` or `run_time`.
    pub origin: String,
    /// What the rules call it, where that is not its address.
    pub name: Option<String>,
    /// In ssh's form.
    pub spec: String,
    /// The server that listens, where it is one.
    pub server: Option<String>,
    /// `asking`, `listening`, `refused` or `gone`.
    pub state: String,
    /// Where clients can come in.
    pub addresses: Vec<String>,
    /// Why they cannot.
    pub reason: Option<String>,
    /// How many have come in.
    pub accepted: u64,
    /// Requests to a proxy for public addresses, by clients that ask for names as well: as it seems, they
    /// look some names up by themselves.
    pub suspicious: u64,
}
