//! Why a request failed, and its route.

use std::fmt;
use std::sync::Arc;

use crate::registry::Outcome;
use crate::ssh::TargetFault;

/// Why a request failed. `dial::blame` has the code for each protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The target refused the connection.
    #[error("the target refused the connection")]
    ConnectionRefused,
    /// The name does not exist where it was looked up.
    #[error("the name was not found")]
    NameNotFound,
    /// The look-up on this machine failed or timed out.
    #[error("the name could not be looked up here")]
    LookUpFailed,
    /// There is no route to the host.
    #[error("there is no route to the host")]
    NoRouteToHost,
    /// The network cannot be reached.
    #[error("the network is unreachable")]
    NetworkUnreachable,
    /// The target did not answer: the connection attempt timed out, or the dial deadline passed.
    #[error("the target did not answer in time")]
    TimedOut,
    /// The target could not be connected to, for an unknown reason.
    #[error("the target could not be connected to")]
    Unreachable,
    /// The server did not answer before the dial deadline, and may not have handled the request, since it did
    /// not answer later ones either.
    #[error("the SSH server {server} did not answer in time")]
    NoAnswer {
        /// The server that was asked.
        server: Arc<str>,
    },
    /// This machine has run out of a resource for connections.
    #[error("this machine has run out of descriptors, memory or ports for another connection")]
    Exhausted,
    /// The target is a listener of this program.
    #[error("the destination is this proxy itself")]
    Loop,
    /// The server forbids it (administratively prohibited).
    #[error("the SSH server {server} forbids this destination")]
    Prohibited {
        /// The server that forbade it.
        server: Arc<str>,
    },
    /// The server accepts no further channel (resource shortage).
    #[error("the SSH server {server} opens no further connection")]
    ServerFull {
        /// The server that was asked.
        server: Arc<str>,
    },
    /// A rule rejects it, or no rule allows it.
    #[error("{}", rejection(rule.as_deref()))]
    Rejected {
        /// The rule's name; none if no rule matched and the default allows nothing.
        rule: Option<Arc<str>>,
    },
    /// No session to any of the servers within the deadline.
    #[error("no session to {}", Missing(servers))]
    NoSession {
        /// The servers that may carry it, each with the last error.
        servers: Vec<MissingSession>,
    },
    /// The user killed the request before it was answered.
    #[error("the request was ended by hand on this machine")]
    Killed,
}

/// A server without a session, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSession {
    /// The server's name.
    pub server: Arc<str>,
    /// The error of the last attempt to connect; empty before the first has finished.
    pub reason: String,
}

/// A failed dial: the error and the route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct DialFailure {
    /// Why.
    pub error: DialError,
    /// The route of the request.
    pub way: Way,
}

/// The route of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The name of the rule; none if the default applies.
    pub rule: Option<Arc<str>>,
    /// What carries it.
    pub carrier: Carrier,
}

/// What carries a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Nothing, or not yet known.
    #[default]
    None,
    /// The SSH server of this name.
    Server(Arc<str>),
    /// This machine itself.
    Direct,
}

impl DialError {
    /// The error for a target fault reported by the server.
    pub(super) fn of_target(fault: TargetFault, server: &Arc<str>) -> Self {
        match fault {
            TargetFault::Refused => Self::ConnectionRefused,
            TargetFault::NameNotFound => Self::NameNotFound,
            TargetFault::NoRoute => Self::NoRouteToHost,
            TargetFault::NetworkUnreachable => Self::NetworkUnreachable,
            TargetFault::TimedOut => Self::TimedOut,
            TargetFault::Prohibited => Self::Prohibited { server: Arc::clone(server) },
            TargetFault::ServerFull => Self::ServerFull { server: Arc::clone(server) },
            TargetFault::Uncertain => Self::Unreachable,
        }
    }
}

impl From<&DialError> for Outcome {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::ConnectionRefused => Self::ConnectionRefused,
            DialError::NameNotFound => Self::NameNotFound,
            DialError::LookUpFailed => Self::LookUpFailed,
            DialError::NoRouteToHost => Self::NoRoute,
            DialError::NetworkUnreachable => Self::NetworkUnreachable,
            DialError::TimedOut => Self::TimedOut,
            DialError::Unreachable => Self::Unreachable,
            DialError::Prohibited { .. } => Self::Prohibited,
            DialError::ServerFull { .. } => Self::ServerFull,
            DialError::Rejected { .. } => Self::Rejected,
            DialError::NoSession { .. } => Self::NoSession,
            DialError::NoAnswer { .. } => Self::NoAnswer,
            DialError::Exhausted => Self::Exhausted,
            DialError::Loop => Self::Loop,
            DialError::Killed => Self::Killed,
        }
    }
}

impl Way {
    /// The name of the SSH server that carries it, if any.
    pub fn server(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Server(server) => Some(server),
            Carrier::None | Carrier::Direct => None,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.carrier {
            Carrier::None => f.write_str("none")?,
            Carrier::Server(server) => f.write_str(server)?,
            Carrier::Direct => f.write_str("direct")?,
        }
        match &self.rule {
            Some(rule) => write!(f, " by the rule {rule}"),
            None => Ok(()),
        }
    }
}

fn rejection(rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!("the rule {rule} rejects this destination"),
        None => "no rule allows this destination".to_owned(),
    }
}

struct Missing<'a>(&'a [MissingSession]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [MissingSession { server, reason }] = self.0 {
            write!(f, "the SSH server {server}")?;
            return if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") };
        }
        f.write_str("the SSH servers ")?;
        for (index, MissingSession { server, .. }) in self.0.iter().enumerate() {
            write!(f, "{}{server}", if index == 0 { "" } else { ", " })?;
        }
        for MissingSession { server, reason } in self.0 {
            if !reason.is_empty() {
                write!(f, "; {server}: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(server: &str, reason: &str) -> MissingSession {
        MissingSession { server: server.into(), reason: reason.into() }
    }

    #[test]
    fn missing_sessions_name_their_servers() {
        let text = |servers| DialError::NoSession { servers }.to_string();
        assert_eq!(text(vec![missing("a", "away")]), "no session to the SSH server a: away");
        assert_eq!(text(vec![missing("a", "")]), "no session to the SSH server a");
        assert_eq!(
            text(vec![missing("a", "away"), missing("b", ""), missing("c", "full")]),
            "no session to the SSH servers a, b, c; a: away; c: full"
        );
    }

    #[test]
    fn a_rejection_names_its_rule() {
        let text = |rule: Option<&str>| DialError::Rejected { rule: rule.map(Into::into) };
        assert_eq!(text(Some("ads")).to_string(), "the rule ads rejects this destination");
        assert_eq!(text(None).to_string(), "no rule allows this destination");
    }
}
