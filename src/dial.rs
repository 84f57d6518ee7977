//! Joins the route and the pool: one deadline for the whole dial, and what to say when it fails.

use std::time::Duration;

use crate::request::Request;
use crate::ssh::{Channel, Pool};

/// Turns requests into channels.
#[derive(Clone, Debug)]
pub struct Dialer {
    pool: Pool,
    deadline: Duration,
}

/// Why a request got no channel. Each protocol has one total mapping of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The target refused the connection.
    #[error("the target refused the connection")]
    ConnectionRefused,
    /// The far side knows no such name.
    #[error("the name was not found on the far side")]
    NameNotFound,
    /// The far side has no route to the host.
    #[error("the far side has no route to the host")]
    NoRouteToHost,
    /// The far side cannot reach the network.
    #[error("the network is unreachable from the far side")]
    NetworkUnreachable,
    /// The target did not answer: the far side gave up, or our deadline passed.
    #[error("the target did not answer in time")]
    TimedOut,
    /// The server could not connect, and the reason is not certain.
    #[error("the server could not connect to the target")]
    Unreachable,
    /// The server forbids it (administratively prohibited).
    #[error("the SSH server {server} forbids this destination")]
    Prohibited {
        /// The server that forbade it.
        server: String,
    },
    /// No session to the server within the deadline.
    #[error("no session to the SSH server {server}: {reason}")]
    NoSession {
        /// The server without a session.
        server: String,
        /// What the last attempt to connect said.
        reason: String,
    },
}

impl Dialer {
    /// Dials through `pool`; one dial takes no longer than `deadline`.
    pub fn new(pool: Pool, deadline: Duration) -> Self {
        Self { pool, deadline }
    }

    /// Opens a channel to the request's destination.
    pub async fn dial(&self, request: &Request) -> Result<Channel, DialError> {
        let _ = (&self.pool, self.deadline, request);
        todo!()
    }
}
