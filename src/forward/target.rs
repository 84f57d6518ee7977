//! Where a forward leads to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::InvalidForward;
use super::fields::{self, Field};
use crate::destination::Destination;

/// Where a forward leads to: `host:port`, or the path of a unix socket on the side that connects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host and a port.
    Tcp(Destination),
    /// A unix socket at this path, which contains a slash; at most 107 bytes.
    Unix(Arc<str>),
}

impl Target {
    pub(super) fn tcp(host: &str, port: &str) -> Result<Self, InvalidForward> {
        Ok(Self::Tcp(Destination::from_parts(host, port)?))
    }

    pub(super) fn unix(path: String) -> Result<Self, InvalidForward> {
        Ok(Self::Unix(fields::checked_path(path)?.into()))
    }
}

impl FromStr for Target {
    type Err = InvalidForward;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match fields::split(text)?.as_slice() {
            [Field::Path(path)] => Self::unix(path.clone()),
            [Field::Word(host), Field::Word(port)] => Self::tcp(host, port),
            _ => Err(InvalidForward::TargetForm),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(destination) => destination.fmt(f),
            Self::Unix(path) => f.write_str(&fields::path(path)),
        }
    }
}
