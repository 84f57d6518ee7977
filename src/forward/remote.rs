//! `-R`: a listener on the server with a target on this side.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::fields::{self, Expand, Field};
use super::target::AsField;
use super::{InvalidForward, target};
use crate::target::Target;

/// The argument of `-R`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteForward {
    /// The address on which the server listens.
    pub listen: RemoteListen,
    /// The target of its clients.
    pub to: RemoteTo,
}

/// An address to listen on, on the server, in ssh's notation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteListen {
    /// A TCP port. Port 0 lets the server choose.
    Tcp {
        /// The interfaces, as the user wrote them.
        bind: RemoteBind,
        /// 0 to 65535.
        port: u16,
    },
    /// A unix socket at this path on the server, which contains a slash; at most 107 bytes.
    Unix(Arc<str>),
}

impl RemoteListen {
    /// Whether a server cannot listen on both. Ports chosen by the server differ each time.
    pub(crate) fn collides_with(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp { port: 0, .. })
    }
}

/// The interfaces of the server to listen on, as the user wrote them. The server's `GatewayPorts` decides what
/// they mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteBind {
    /// Nothing before the port: the server's loopback.
    Unsaid,
    /// The text before the port: empty or `*` for every interface, `localhost`, an address, a name.
    As(Arc<str>),
}

/// The target of a remote forward's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteTo {
    /// One target, reached from this side; a socket path is one on this machine.
    Fixed(Target),
    /// Any destination: the clients use a SOCKS and HTTP proxy.
    Proxy,
}

impl RemoteForward {
    /// The same forward with its socket paths expanded.
    ///
    /// # Errors
    ///
    /// A path cannot be expanded, or the result is too long.
    pub(crate) fn expanded(self, expand: Expand<'_>) -> Result<Self, InvalidForward> {
        let listen = match self.listen {
            RemoteListen::Unix(path) => RemoteListen::unix(&fields::expanded(&path, expand)?)?,
            tcp @ RemoteListen::Tcp { .. } => tcp,
        };
        let to = match self.to {
            RemoteTo::Fixed(target) => RemoteTo::Fixed(target::expanded(target, expand)?),
            RemoteTo::Proxy => RemoteTo::Proxy,
        };
        Ok(Self { listen, to })
    }
}

impl RemoteBind {
    /// The address in the request to the server (RFC 4254 section 7.1), as sent by ssh: `localhost` for a port
    /// alone, and the empty address for every interface.
    pub fn on_the_wire(&self) -> &str {
        match self {
            Self::Unsaid => "localhost",
            Self::As(text) if &**text == "*" => "",
            Self::As(text) => text,
        }
    }

    fn parse(text: &str) -> Result<Self, InvalidForward> {
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/[]\\".contains(c);
        if text.len() > MAX_BIND || text.contains(foreign) {
            return Err(InvalidForward::RemoteBind);
        }
        Ok(Self::As(text.into()))
    }
}

impl RemoteListen {
    /// Parses its fields; any other number or kind of fields results in the error `otherwise`.
    fn read(fields: &[Field], otherwise: InvalidForward) -> Result<Self, InvalidForward> {
        fields::listen(fields, otherwise, Self::tcp, Self::unix)
    }

    fn tcp(bind: Option<&str>, port: &str) -> Result<Self, InvalidForward> {
        let bind = bind.map_or(Ok(RemoteBind::Unsaid), RemoteBind::parse)?;
        Ok(Self::Tcp { bind, port: fields::listen_port(port)? })
    }

    fn unix(path: &str) -> Result<Self, InvalidForward> {
        Ok(Self::Unix(fields::checked_path(path)?.into()))
    }
}

impl FromStr for RemoteForward {
    type Err = InvalidForward;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = fields::split(text)?;
        let (listen, to) = fields::parts(&fields);
        let listen = RemoteListen::read(listen, InvalidForward::RemoteForm)?;
        let to = match to {
            [] => RemoteTo::Proxy,
            fields => RemoteTo::Fixed(target::read(fields)?),
        };
        Ok(Self { listen, to })
    }
}

impl fmt::Display for RemoteForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            RemoteTo::Fixed(target) => write!(f, "{}:{}", self.listen, AsField(target)),
            RemoteTo::Proxy => self.listen.fmt(f),
        }
    }
}

impl FromStr for RemoteListen {
    type Err = InvalidForward;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(&fields::split(text)?, InvalidForward::ListenForm)
    }
}

impl fmt::Display for RemoteListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { bind: RemoteBind::Unsaid, port } => port.fmt(f),
            Self::Tcp { bind: RemoteBind::As(text), port } => {
                write!(f, "{}:{port}", fields::word(text))
            }
            Self::Unix(path) => f.write_str(&fields::path(path)),
        }
    }
}

/// The maximum length of a bind address in bytes, enough for any name (RFC 1035).
const MAX_BIND: usize = 255;
