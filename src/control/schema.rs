//! What `/v1` says: the one schema that the control socket, its commands and every view share.
//!
//! Names are in snake case. Durations are milliseconds (with fractions where they are stages), sizes
//! are bytes, rates are bytes a second, points in time are milliseconds since the epoch, with an age
//! beside them so that nobody needs a clock. A reader ignores fields that it does not know, and takes
//! a word that it does not know as it is. Texts from outside are as they came, escaped by nobody:
//! whoever shows them makes them safe.

use serde::{Deserialize, Serialize};

/// `GET /v1/status`: what there is, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Which program this is.
    pub instance: Instance,
    /// `starting`, `ready`, `degraded`, `down` or `draining`.
    pub state: String,
    /// What is wrong, a sentence each; empty where all is well.
    pub health: Vec<Trouble>,
    /// The configuration file; none for a command line with a host.
    pub configuration: Option<Configuration>,
    /// The connections, counted.
    pub connections: ConnectionCounts,
    /// The bytes of all connections.
    pub traffic: Traffic,
    /// The SSH servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Listeners and forwards, in the order in which they came.
    pub places: Vec<Place>,
}

/// Which program answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// What its control socket is called.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Different for each run: numbers of connections, sessions and places count within it.
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
pub struct Trouble {
    /// Of what: `server`, `listener`, `forward` or `configuration`.
    pub what: String,
    /// Its name.
    pub name: String,
    /// In a sentence.
    pub text: String,
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// Its path.
    pub file: String,
    /// How often it was read again and is in force.
    pub reloads: u64,
    /// What was wrong with it when it was last read; empty where it is in force as it is.
    pub mistakes: Vec<String>,
}

/// The connections, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionCounts {
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

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// From clients.
    pub up: u64,
    /// To clients.
    pub down: u64,
    /// From clients, in the last second.
    pub up_rate: u64,
    /// To clients, in the last second.
    pub down_rate: u64,
}

/// An SSH server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// What the rules call it.
    pub name: String,
    /// `ready`, `pending` or `down`.
    pub state: String,
    /// Why there is no session, or one less; empty where nothing is wrong.
    pub reason: String,
    /// Whether it forwards: `proved` (a channel went through lately), `forbidden`, `silent` (it does
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
pub struct Jump {
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
pub struct Loss {
    /// How long ago.
    pub age: u64,
    /// Why.
    pub reason: String,
}

/// An SSH session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Its number, never given twice in one run.
    pub id: u64,
    /// `ready`, `stuck` (the server has not answered for a while) or `draining`.
    pub state: String,
    /// Since the login.
    pub age: u64,
    /// The last round trip.
    pub round_trip: Option<f64>,
    /// The shortest so far. Where the last one is much longer, the line is full.
    pub best_round_trip: Option<f64>,
    /// Channels that are open or being opened.
    pub channels: usize,
    /// Of these, those that the server has not confirmed yet.
    pub opening: usize,
    /// Of these, those that moved something in the last second or two.
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
    /// The type of the host key.
    pub host_key_type: String,
    /// The fingerprint of the host key, as `SHA256:…`.
    pub host_key: String,
    /// The key exchange.
    pub key_exchange: String,
    /// The cipher from the server to us.
    pub cipher: String,
}

/// A listener or a forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
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
}

/// `GET /v1/connections`: those that live, the oldest first; with `?state=ended`, the last thousand
/// that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Those that the query asks for.
    pub connections: Vec<Connection>,
    /// Whether there are more than the limit lets be shown.
    pub truncated: bool,
}

/// A connection: one request, its dial and its relay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
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
    /// The proxy user.
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

/// A program of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its process.
    pub pid: i32,
    /// Its name, as the system has it.
    pub name: String,
}

/// How long the stages took; null for one that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stages {
    /// Until the rules had decided.
    pub decided: Option<f64>,
    /// From then on until there was a session.
    pub waited: Option<f64>,
    /// What the far side needed: look-up and connect together, and one round trip.
    pub opened: Option<f64>,
    /// From then on until the target sent its first byte.
    pub first_byte: Option<f64>,
    /// All of it.
    pub total: Option<f64>,
}

/// `GET /v1/rules`: in their order, the default last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A rule, and what it was good for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
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
pub struct Listeners {
    /// By the names that rules have for them.
    pub listeners: Vec<Listener>,
}

/// What came in at one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Requests for a name.
    pub names: u64,
    /// Requests for an address. Where there are names as well, some client looks names up by itself.
    pub addresses: u64,
}

/// `POST /v1/ping`: opens a channel and tells how long each stage took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PingRequest {
    /// `host:port`; none for the SSH port of the server itself, as it sees itself.
    pub destination: Option<String>,
    /// The server to ask, whatever the rules say.
    pub server: Option<String>,
    /// Sends a `HEAD` of HTTP and waits for the answer.
    pub http: bool,
}

/// What came of a ping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ping {
    /// Where to.
    pub target: String,
    /// The rule that said which way.
    pub rule: Option<String>,
    /// The server that was asked.
    pub server: Option<String>,
    /// The session.
    pub session: Option<u64>,
    /// Whether the channel was opened.
    pub opened: bool,
    /// Why it was not, in a sentence.
    pub failure: Option<String>,
    /// How long the stages took.
    pub stages: Stages,
    /// A round trip on that session just before.
    pub round_trip: Option<f64>,
    /// The shortest round trip of that session so far.
    pub best_round_trip: Option<f64>,
    /// What the far side needed by itself, without the round trip: look-up and connect.
    pub far_side: Option<f64>,
    /// What was slow or failed: `none`, `rule`, `session`, `line`, `client`, `far_side` or `target`.
    pub culprit: String,
    /// The same in a sentence.
    pub verdict: String,
}

/// `POST /v1/forwards`: a forward for as long as the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardRequest {
    /// `local`, `remote` or `dynamic`.
    pub kind: String,
    /// In ssh's form.
    pub spec: String,
    /// The server; needed for `remote` where there are several. Without it the rules say.
    pub server: Option<String>,
    /// What the rules are to call it.
    pub name: Option<String>,
}

/// `GET /v1/forwards`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Forwards {
    /// All places, listeners of the configuration included.
    pub forwards: Vec<Place>,
}

/// What came of `DELETE /v1/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Closed {
    /// How many were ended.
    pub closed: usize,
}

/// `PUT /v1/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogRequest {
    /// `quiet`, `normal`, `debug` or `trace`.
    pub level: String,
}

/// What came of `POST /v1/dashboard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DashboardLink {
    /// Where the dashboard is, as a URL.
    pub address: String,
    /// The same with a code that lets one browser in, once.
    pub link: String,
    /// What scripts send as `Authorization: Bearer`.
    pub token: String,
}

/// `POST /v1/stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopRequest {
    /// Cuts what runs, in place of waiting for it.
    pub now: bool,
}

/// What came of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// What is different now, in words.
    pub changes: String,
}

/// What went wrong with a request (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// In a sentence.
    pub title: String,
    /// The same, for those who look for it there.
    pub message: String,
    /// More of it, a line each.
    pub details: Vec<String>,
}

/// An event of `GET /v1/events`; its kind is the event's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Forget what you know: this is all of it. The first of a stream, and where some were lost.
    Reset {
        /// What there is.
        status: Box<Status>,
        /// The connections that live.
        connections: Vec<Connection>,
    },
    /// A connection is there.
    ConnectionOpened {
        /// It.
        connection: Box<Connection>,
    },
    /// A connection is over.
    ConnectionClosed {
        /// It, with all that became of it.
        connection: Box<Connection>,
    },
    /// Once a second: the status, and the connections that changed since.
    Tick {
        /// What there is.
        status: Box<Status>,
        /// Those that moved something, or stand elsewhere.
        connections: Vec<Connection>,
    },
    /// A session is ready.
    SessionUp {
        /// The server.
        server: String,
        /// Its number.
        session: u64,
    },
    /// A session has ended.
    SessionDown {
        /// The server.
        server: String,
        /// Its number.
        session: u64,
        /// `lost` or `retired`.
        end: String,
        /// Why.
        reason: String,
    },
    /// An attempt to connect to a server has failed.
    AttemptFailed {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// A listener or forward stands elsewhere.
    Place {
        /// It.
        place: Place,
    },
    /// Another configuration is in force, or was refused.
    Reloaded {
        /// In words.
        text: String,
    },
}
