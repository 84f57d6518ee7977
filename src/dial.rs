//! Joins the request and the pool: one deadline for the whole dial, and what to say when it fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::request::{Request, Source};
use crate::ssh::{Channel, OpenError, Pool, TargetFault};

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
    /// Dials through `pool`; one dial takes no longer than `deadline` (default [`DEADLINE`]).
    pub fn new(pool: Pool, deadline: Duration) -> Self {
        Self { pool, deadline }
    }

    /// The SSH server's name, as the user gave it.
    pub fn server(&self) -> &str {
        self.pool.server()
    }

    /// Opens a channel to the request's target. A session that is lost before the channel is
    /// confirmed is our fault and is made up for; what the target does is told at once.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; a late success is closed.
    pub async fn dial(&self, request: &Request) -> Result<Channel, DialError> {
        let deadline = Instant::now() + self.deadline;
        let origin = origin(request.source);
        loop {
            let placed = timeout_at(deadline, self.pool.place(&request.target))
                .await
                .map_err(|_| self.no_session())?;
            match timeout_at(deadline, placed.open(&request.target, origin)).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(OpenError::SessionLost)) => {}
                Ok(Err(OpenError::Target(fault))) => return Err(self.target_error(fault)),
                Err(_) => return Err(DialError::TimedOut),
            }
        }
    }

    fn no_session(&self) -> DialError {
        DialError::NoSession { server: self.server().to_owned(), reason: self.pool.reason() }
    }

    fn target_error(&self, fault: TargetFault) -> DialError {
        match fault {
            TargetFault::Refused => DialError::ConnectionRefused,
            TargetFault::NameNotFound => DialError::NameNotFound,
            TargetFault::NoRoute => DialError::NoRouteToHost,
            TargetFault::NetworkUnreachable => DialError::NetworkUnreachable,
            TargetFault::TimedOut => DialError::TimedOut,
            TargetFault::Prohibited => DialError::Prohibited { server: self.server().to_owned() },
            TargetFault::Uncertain => DialError::Unreachable,
        }
    }
}

/// The originator that is told to the server: the client, or what `ssh` says where there is no
/// address.
fn origin(source: Source) -> SocketAddr {
    match source {
        Source::Tcp(address) => address,
        Source::Unix => SocketAddr::from((Ipv4Addr::LOCALHOST, u16::MAX)),
    }
}

/// How long a dial may take, unless the user says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(20);
