//! The address of a listener as the user writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::destination::{Host, InvalidDestination, is_number};

/// The argument of `-D`: `[bind:]port` as in ssh(1), or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port. Port 0 lets the system choose.
    Tcp {
        /// The interfaces.
        bind: Bind,
        /// 0 to 65535.
        port: u16,
    },
    /// A unix socket at this path, which contains a slash.
    Unix(PathBuf),
}

/// The interfaces that a TCP listener is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `127.0.0.1` and `::1`: a port alone, or `localhost`.
    Loopback,
    /// Every interface: `*`, or an empty address before the colon.
    All,
    /// One address.
    Address(IpAddr),
    /// All addresses of a name in its normal spelling (see [`Host::Name`]), which is looked up when the
    /// listener is bound.
    Name(Arc<str>),
}

/// Why a text is not a listen address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidListenAddress {
    #[error("the port is not a number from 0 to 65535")]
    Port,
    #[error("the bind address is not an IP address, a host name or `*`")]
    Bind,
    #[error("an IPv6 address needs brackets: [::1]:1080")]
    Brackets,
}

impl Bind {
    /// The addresses to bind, in order; none for a name, which must be looked up.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Loopback => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::All => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Self::Address(ip) => vec![*ip],
            Self::Name(_) => Vec::new(),
        }
    }

    /// The host by which this machine reaches a listener.
    pub(crate) fn reached_at(&self) -> Host {
        match self {
            Self::Name(name) => Host::Name(Arc::clone(name)),
            Self::Address(ip) if !ip.is_unspecified() => Host::Ip(*ip),
            Self::Address(IpAddr::V6(_)) => Host::Ip(Ipv6Addr::LOCALHOST.into()),
            Self::Address(IpAddr::V4(_)) | Self::Loopback | Self::All => {
                Host::Ip(Ipv4Addr::LOCALHOST.into())
            }
        }
    }
}

impl FromStr for Bind {
    type Err = InvalidDestination;

    /// Parses the text before the port, without brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "" | "*") {
            return Ok(Self::All);
        }
        Ok(match text.parse()? {
            Host::Ip(ip) => Self::Address(ip),
            Host::Name(name) if &*name == "localhost" => Self::Loopback,
            Host::Name(name) => Self::Name(name),
        })
    }
}

impl ListenAddress {
    /// The names of its sockets, by which rules refer to listeners without a name: an address and port each, or
    /// the path. For a host name, the name itself.
    pub(crate) fn sockets(&self) -> Vec<String> {
        match self {
            Self::Tcp { bind: Bind::Name(_), .. } => vec![self.to_string()],
            Self::Tcp { bind, port } => {
                let addresses = bind.addresses().into_iter();
                addresses.map(|ip| SocketAddr::new(ip, *port).to_string()).collect()
            }
            Self::Unix(path) => vec![path.display().to_string()],
        }
    }

    /// Whether both cannot be listened on at the same time, since they are equal or one covers the interfaces
    /// of the other. The addresses of a name are not known.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let (Self::Tcp { bind, port }, Self::Tcp { bind: other_bind, port: other_port }) =
            (self, other)
        else {
            return self == other;
        };
        let meet = |a: &IpAddr, b: &IpAddr| {
            a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
        };
        let others = other_bind.addresses();
        let is_taken = |ip: &IpAddr| others.iter().any(|other| meet(ip, other));
        self == other || port == other_port && *port != 0 && bind.addresses().iter().any(is_taken)
    }

    /// Whether they have a socket in common.
    pub(crate) fn shares_a_socket(&self, other: &Self) -> bool {
        let others = other.sockets();
        self.sockets().iter().any(|socket| others.contains(socket))
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As in ssh, a slash makes it a path, since no port or address contains one.
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        let Some((bind, port)) = text.rsplit_once(':') else {
            return Ok(Self::Tcp { bind: Bind::Loopback, port: parse_port(text)? });
        };
        let inner = bind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if inner.is_none() && bind.contains([':', '[', ']']) {
            return Err(InvalidListenAddress::Brackets);
        }
        let bind = inner.unwrap_or(bind).parse().map_err(|_| InvalidListenAddress::Bind)?;
        Ok(Self::Tcp { bind, port: parse_port(port)? })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { bind: Bind::Loopback, port } => write!(f, "localhost:{port}"),
            Self::Tcp { bind: Bind::All, port } => write!(f, "*:{port}"),
            Self::Tcp { bind: Bind::Address(ip), port } => SocketAddr::new(*ip, *port).fmt(f),
            Self::Tcp { bind: Bind::Name(name), port } => write!(f, "{name}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidListenAddress> {
    text.parse().ok().filter(|_| is_number(text)).ok_or(InvalidListenAddress::Port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_that_ssh_accepts() {
        for (text, shown) in [
            ("1080", "localhost:1080"),
            ("0", "localhost:0"),
            ("localhost:1080", "localhost:1080"),
            ("LocalHost:1080", "localhost:1080"),
            ("127.0.0.1:1080", "127.0.0.1:1080"),
            ("127.9.9.9:1080", "127.9.9.9:1080"),
            ("127.1:1080", "127.0.0.1:1080"),
            ("[127.0.0.1]:1080", "127.0.0.1:1080"),
            ("Host.example:1080", "host.example:1080"),
            ("[::1]:1080", "[::1]:1080"),
            ("[::ffff:127.0.0.1]:1080", "127.0.0.1:1080"),
            (":1080", "*:1080"),
            ("*:1080", "*:1080"),
            ("0.0.0.0:1080", "0.0.0.0:1080"),
            ("[::]:1080", "[::]:1080"),
            ("192.0.2.1:65535", "192.0.2.1:65535"),
            ("/run/user/1000/proxy.sock", "/run/user/1000/proxy.sock"),
            ("./proxy:1", "./proxy:1"),
        ] {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn errors_state_the_reason() {
        use InvalidListenAddress::{Bind, Brackets, Port};
        for (text, why) in [
            ("", Port),
            ("x", Port),
            ("+80", Port),
            ("65536", Port),
            ("127.0.0.1:", Port),
            ("127.0.0.1:x", Port),
            ("[::1]", Brackets),
            ("::1:1080", Brackets),
            ("[::1:1080", Brackets),
            ("me@host:1080", Bind),
            ("256.0.0.1:1080", Bind),
            ("[fe80::1%eth0]:1080", Bind),
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn all_interfaces_include_each_of_their_family() {
        let address = |text: &str| text.parse::<ListenAddress>().expect(text);
        for (one, other, excludes) in [
            ("1080", "127.0.0.1:1080", true),
            ("1080", "[::1]:1080", true),
            ("*:1080", "[::1]:1080", true),
            ("0.0.0.0:1080", "192.0.2.1:1080", true),
            ("/s", "/s", true),
            ("host:1080", "HOST:1080", true),
            ("host:1080", "other:1080", false),
            ("0.0.0.0:1080", "[::]:1080", false),
            ("127.0.0.1:1080", "127.0.0.2:1080", false),
            ("127.0.0.1:1080", "127.0.0.1:1081", false),
            ("0", "127.0.0.1:0", false),
            ("/s", "/t", false),
        ] {
            let (one, other) = (address(one), address(other));
            assert_eq!(one.excludes(&other), excludes, "{one} {other}");
            assert_eq!(other.excludes(&one), excludes, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn it_prints_what_it_parses(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<ListenAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
