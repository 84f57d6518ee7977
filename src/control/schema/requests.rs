//! Requests that change or test something, and their results.

use serde::{Deserialize, Serialize};

use super::{Forward, Stages};

/// `POST /v1/ping`: opens a channel and reports how long each stage took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PingRequest {
    /// `host:port`; if null, the SSH port of the server itself, as the server sees it.
    pub destination: Option<String>,
    /// The server to use, regardless of the rules.
    pub server: Option<String>,
    /// Whether to send an HTTP `HEAD` and wait for the answer.
    pub http: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ping {
    pub target: String,
    /// The rule that decided the route.
    pub rule: Option<String>,
    pub server: Option<String>,
    pub session: Option<u64>,
    pub opened: bool,
    /// The reason for a failure, in a sentence.
    pub failure: Option<String>,
    pub stages: Stages,
    /// A round trip on that session, measured just before.
    pub round_trip: Option<f64>,
    /// The shortest round trip on that session so far.
    pub best_round_trip: Option<f64>,
    /// The time that the far side took, without the round trip: look-up and connect.
    pub far_side: Option<f64>,
    /// What was slow or failed: `none`, `rule`, `session`, `line`, `client`, `far_side` or `target`.
    pub culprit: String,
    /// The culprit explained, in a sentence.
    pub verdict: String,
}

/// `POST /v1/forwards`: a forward for as long as the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ForwardRequest {
    /// `local`, `remote` or `dynamic`.
    pub kind: String,
    /// The forward, in ssh's syntax.
    pub spec: String,
    /// The server; required for `remote` if there are several. Without it the rules decide.
    pub server: Option<String>,
    pub name: Option<String>,
}

/// `GET /v1/forwards`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Forwards {
    /// All forwards, including the listeners of the configuration.
    pub forwards: Vec<Forward>,
}

/// The result of `DELETE /v1/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Closed {
    pub closed: usize,
}

/// `PUT /v1/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogRequest {
    /// `quiet`, `normal`, `debug` or `trace`.
    pub level: String,
}

/// The result of `POST /v1/dashboard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DashboardLink {
    /// The URL of the dashboard.
    pub address: String,
    /// The same, with a single-use code that admits one browser.
    pub link: String,
    /// The token that scripts send as `Authorization: Bearer`.
    pub token: String,
}

/// `POST /v1/stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StopRequest {
    /// Whether to cut open connections instead of waiting for them.
    pub now: bool,
}

/// The result of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reloaded {
    /// The differences, in words.
    pub changes: String,
}

/// The error of a request (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub status: u16,
    /// The problem, in a sentence.
    pub title: String,
    /// The same, for clients that expect it in this field.
    pub message: String,
    /// Details, one a line.
    pub details: Vec<String>,
}
