//! The target of a request.

use std::fmt;
use std::sync::Arc;

use crate::destination::{Destination, Host};

/// A destination, or a unix socket on the side that connects to it: the SSH server, or this machine for a
/// direct request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host and a port.
    Host(Destination),
    /// The path of a unix socket; only forwards have such a target.
    Socket(Arc<str>),
}

impl Target {
    /// The host, if there is one.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Self::Host(destination) => Some(destination.host()),
            Self::Socket(_) => None,
        }
    }

    /// The port, if there is one; never 0.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Host(destination) => Some(destination.port()),
            Self::Socket(_) => None,
        }
    }
}

impl From<Destination> for Target {
    fn from(destination: Destination) -> Self {
        Self::Host(destination)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(destination) => destination.fmt(f),
            Self::Socket(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_neither_host_nor_port() {
        let host = Target::from(Destination::parse("db.example:5432", None).expect("good"));
        assert_eq!(host.to_string(), "db.example:5432");
        assert_eq!((host.host().is_some(), host.port()), (true, Some(5432)));
        let socket = Target::Socket("/run/db.sock".into());
        assert_eq!(socket.to_string(), "/run/db.sock");
        assert_eq!((socket.host(), socket.port()), (None, None));
    }
}
