//! Requests, and their outcomes.

use serde::{Deserialize, Serialize};

use super::{Forward, Stages};

/// `POST /v1/ping`: opens a channel and reports how long each stage took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PingRequest {
    /// `host:port`; none for the SSH port of the server itself, as it sees itself.
    pub destination: Option<String>,
    /// The server to ask, whatever the rules say.
    pub server: Option<String>,
    /// Sends a `HEAD` of HTTP and waits for the answer.
    pub http: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ping {
    /// Where to.
    pub target: String,
    /// The rule that said which way.
    pub rule: Option<String>,
    /// The server that was asked.
    pub server: Option<String>,
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
pub(crate) struct ForwardRequest {
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
pub(crate) struct Forwards {
    /// All forwards, listeners of the configuration included.
    pub forwards: Vec<Forward>,
}

/// What came of `DELETE /v1/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Closed {
    /// How many were ended.
    pub closed: usize,
}

/// `PUT /v1/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogRequest {
    /// `quiet`, `normal`, `debug` or `trace`.
    pub level: String,
}

/// What came of `POST /v1/dashboard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DashboardLink {
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
pub(crate) struct StopRequest {
    /// Cuts what runs, in place of waiting for it.
    pub now: bool,
}

/// What came of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reloaded {
    /// What is different now, in words.
    pub changes: String,
}

/// What went wrong with a request (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub status: u16,
    /// In a sentence.
    pub title: String,
    /// The same, for those who look for it there.
    pub message: String,
    /// More of it, a line each.
    pub details: Vec<String>,
}
