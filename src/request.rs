//! The value that passes through all stages: which client requests which target, through which listener.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use strum::{Display, IntoStaticStr, VariantArray};

use crate::target::Target;

/// One client's request for a connection.
#[derive(Clone, Debug)]
pub struct Request {
    /// The listener that accepted it, by the name in the user's configuration (`127.0.0.1:1080`).
    pub listener: Arc<str>,
    /// The protocol of the request.
    pub protocol: Protocol,
    /// The client's end of the connection.
    pub source: Source,
    /// The proxy user, if the listener requires one.
    pub user: Option<Arc<str>>,
    /// The target.
    pub target: Target,
}

/// The protocol a client speaks to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Protocol {
    /// SOCKS version 4, an IPv4 address.
    Socks4,
    /// SOCKS version 4 with a name in place of the address.
    Socks4a,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
    /// HTTP CONNECT (RFC 9110 section 9.3.6).
    #[strum(serialize = "connect")]
    HttpConnect,
    /// A plain HTTP request in absolute form (RFC 9112 section 3.2.2).
    Http,
    /// None: the target is fixed, whatever the client sends (`-L`, `-R`, `-W`).
    Forward,
}

/// The client's end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A TCP client and its address.
    Tcp(SocketAddr),
    /// A TCP client of a server, with its address as seen by the server, whose loopback is not this machine's.
    Remote(SocketAddr),
    /// A client of a unix socket, which has no address.
    Unix,
}

#[cfg(test)]
impl Request {
    /// A request over SOCKS5 for a host and port, from an arbitrary client.
    pub(crate) fn for_test(target: &str) -> Self {
        let target = crate::destination::Destination::parse(target, None).expect("good").into();
        let (listener, protocol) = ("test:1".into(), Protocol::Socks5);
        Self { listener, protocol, source: Source::Unix, user: None, target }
    }
}

impl Source {
    /// The address, if there is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) | Self::Remote(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Remote(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
