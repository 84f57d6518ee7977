//! `-L`: a listener on this machine with a fixed target on the far side.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::fields::{self, Expand, Field};
use super::listen_address::{Bind, ListenAddress};
use super::target::AsField;
use super::{InvalidForward, target};
use crate::target::Target;

/// The argument of `-L`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalForward {
    /// The address to listen on, on this machine.
    pub listen: LocalListen,
    /// The target that the server connects to; a socket path is one on the server.
    pub to: Target,
}

/// An address to listen on, on this machine, in ssh's notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalListen {
    /// A TCP port. Port 0 lets the system choose, which ssh itself does not accept.
    Tcp {
        /// The interfaces; none for a port alone, in which case `GatewayPorts` decides.
        bind: Option<Bind>,
        /// 0 to 65535.
        port: u16,
    },
    /// A unix socket at this path, which contains a slash; at most 107 bytes.
    Unix(PathBuf),
}

impl LocalForward {
    /// The same forward with its socket paths expanded.
    ///
    /// # Errors
    ///
    /// A path cannot be expanded, or the result is too long.
    pub(crate) fn expanded(self, expand: Expand<'_>) -> Result<Self, InvalidForward> {
        Ok(Self { listen: self.listen.with_path(expand)?, to: target::expanded(self.to, expand)? })
    }
}

impl LocalListen {
    /// The address to listen on. `bare` is the meaning of a port alone: the loopback interface, or every
    /// interface with `-g` or `GatewayPorts yes`.
    pub fn address(&self, bare: &Bind) -> ListenAddress {
        match self {
            Self::Tcp { bind, port } => {
                ListenAddress::Tcp { bind: bind.as_ref().unwrap_or(bare).clone(), port: *port }
            }
            Self::Unix(path) => ListenAddress::Unix(path.clone()),
        }
    }

    pub(crate) fn with_path(self, expand: Expand<'_>) -> Result<Self, InvalidForward> {
        match self {
            Self::Unix(path) => Self::unix(&fields::expanded(&path.to_string_lossy(), expand)?),
            Self::Tcp { .. } => Ok(self),
        }
    }

    /// Parses its fields; any other number or kind of fields results in the error `otherwise`.
    fn read(fields: &[Field], otherwise: InvalidForward) -> Result<Self, InvalidForward> {
        fields::listen(fields, otherwise, Self::tcp, Self::unix)
    }

    fn tcp(bind: Option<&str>, port: &str) -> Result<Self, InvalidForward> {
        let bind = bind.map(|text| text.parse().map_err(|_| InvalidForward::Bind)).transpose()?;
        Ok(Self::Tcp { bind, port: fields::listen_port(port)? })
    }

    fn unix(path: &str) -> Result<Self, InvalidForward> {
        Ok(Self::Unix(fields::checked_path(path)?.into()))
    }
}

impl FromStr for LocalForward {
    type Err = InvalidForward;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = fields::split(text)?;
        let (listen, to) = fields::parts(&fields);
        if let ([_] | [Field::Word(_), Field::Word(_)], []) = (listen, to) {
            return Err(InvalidForward::NoTarget);
        }
        let listen = LocalListen::read(listen, InvalidForward::LocalForm)?;
        Ok(Self { listen, to: target::read(to)? })
    }
}

impl fmt::Display for LocalForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.listen, AsField(&self.to))
    }
}

impl FromStr for LocalListen {
    type Err = InvalidForward;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(&fields::split(text)?, InvalidForward::ListenForm)
    }
}

impl fmt::Display for LocalListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { bind: None, port } => port.fmt(f),
            Self::Tcp { bind: Some(bind), port } => {
                ListenAddress::Tcp { bind: bind.clone(), port: *port }.fmt(f)
            }
            Self::Unix(path) => f.write_str(&fields::path(&path.to_string_lossy())),
        }
    }
}
