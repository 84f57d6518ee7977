//! A TCP connection to the SSH server: the one name that is resolved on this side, and all of its
//! addresses tried.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use crate::openssh::client_config::{AddressFamily, ClientConfig, Origin, Switch};
use crate::printable::{Lines, printable};
use crate::stream::happy_eyeballs::{STAGGER, interleave, race_by};
use crate::stream::options::bind_device;

/// Why no address of the server took the connection.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReachError {
    /// The server's own name did not resolve.
    #[error(
        "the name {host} does not resolve: {reason}; check its spelling, HostName in ssh_config, and \
         the network"
    )]
    Resolve {
        host: String,
        /// What the resolver said. Not the source: the text is complete, as with the others.
        reason: io::Error,
    },
    #[error("{host} has no {family} address; AddressFamily, -4 or -6 asks for one")]
    NoAddress { host: String, family: AddressFamily },
    #[error(
        "BindAddress {address} does not resolve: {reason}; it must be an address of this machine"
    )]
    Bind {
        /// What was configured, escaped.
        address: String,
        reason: io::Error,
    },
    #[error("{}{}", Attempts(.tried), advice(.tried))]
    Connect {
        /// Each address in the order of its failure, with its reason.
        tried: Vec<(SocketAddr, io::Error)>,
    },
}

/// Prints each failed address with its reason.
struct Attempts<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, error)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}connect to {address}: {error}")?;
        }
        Ok(())
    }
}

/// What to do about it, where that is plain.
fn advice(tried: &[(SocketAddr, io::Error)]) -> &'static str {
    let all = |kinds: &[io::ErrorKind]| tried.iter().all(|(_, e)| kinds.contains(&e.kind()));
    if all(&[io::ErrorKind::ConnectionRefused]) {
        "; nothing listens there: check the port, and that the server runs"
    } else if all(&[io::ErrorKind::TimedOut]) {
        "; nothing came back: a firewall may be in between, or the host is down"
    } else if all(&[io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable]) {
        "; check the network, and whether a VPN is needed"
    } else {
        ""
    }
}

/// Where to connect to, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'a> {
    host: &'a str,
    port: u16,
    family: AddressFamily,
    origin: &'a Origin,
    keep_alive: Switch,
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) socket: TcpStream,
    /// How long it took to connect, without the look-up.
    pub(crate) took: Duration,
}

/// An [`Origin`] whose name is resolved.
#[derive(Clone, Debug)]
enum LocalEnd {
    Any,
    Addresses(Vec<SocketAddr>),
    Interface(String),
}

impl<'a> Reach<'a> {
    /// As a configuration says.
    pub(crate) fn new(config: &'a ClientConfig) -> Self {
        Self {
            host: &config.host_name,
            port: config.port,
            family: config.reach.address_family,
            origin: &config.reach.origin,
            keep_alive: config.reach.tcp_keep_alive,
        }
    }
}

/// Connects to a name or an address, with the first address that answers.
///
/// The socket has `TCP_NODELAY`, and `SO_KEEPALIVE` as `TCPKeepAlive` says. There is no time limit
/// here: `ConnectTimeout` is the caller's.
///
/// # Cancel safety
///
/// Dropping the future closes every attempt. A look-up that has begun goes on in a thread of the
/// runtime until the system's resolver gives up; its answer is dropped.
pub(crate) async fn connect_tcp(reach: Reach<'_>) -> Result<Reached, ReachError> {
    let Reach { host, port, family, origin, keep_alive } = reach;
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|reason| ReachError::Resolve { host: host.to_owned(), reason })?;
    let addresses = interleave(found.filter(|address| family.admits(address.ip())));
    if addresses.is_empty() {
        return Err(ReachError::NoAddress { host: host.to_owned(), family });
    }
    let from = resolve(origin).await?;
    let attempt = move |address| attempt(address, from.clone(), keep_alive);
    race_by(STAGGER, addresses, attempt).await.map_err(|tried| ReachError::Connect { tried })
}

async fn resolve(origin: &Origin) -> Result<LocalEnd, ReachError> {
    match origin {
        Origin::Any => Ok(LocalEnd::Any),
        Origin::Interface(name) => Ok(LocalEnd::Interface(name.clone())),
        Origin::Address(address) => match tokio::net::lookup_host((address.as_str(), 0)).await {
            Ok(found) => Ok(LocalEnd::Addresses(found.collect())),
            Err(reason) => {
                Err(ReachError::Bind { address: printable(address, 80, Lines::One), reason })
            }
        },
    }
}

async fn attempt(address: SocketAddr, from: LocalEnd, keep_alive: Switch) -> io::Result<Reached> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    from.apply(&socket, address)?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(keep_alive.is_on())?;
    let begun = Instant::now();
    let socket = socket.connect(address).await?;
    Ok(Reached { socket, took: begun.elapsed() })
}

impl LocalEnd {
    /// Has the socket connect from there.
    fn apply(&self, socket: &TcpSocket, to: SocketAddr) -> io::Result<()> {
        let blame = |what: &dyn fmt::Display, error: io::Error| {
            io::Error::new(error.kind(), format!("{what}: {error}"))
        };
        match self {
            Self::Any => Ok(()),
            Self::Addresses(found) => {
                let of_family = found.iter().find(|own| own.is_ipv4() == to.is_ipv4());
                let Some(own) = of_family else {
                    let why = "BindAddress is of the other address family";
                    return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
                };
                let what = format!("BindAddress {}", own.ip());
                socket.bind(*own).map_err(|error| blame(&what, error))
            }
            Self::Interface(name) => {
                let what = format!("BindInterface {}", printable(name, 80, Lines::One));
                bind_device(socket, name).map_err(|error| blame(&what, error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::stream::happy_eyeballs::race;

    /// An address on loopback where nobody listens: bound and let go.
    async fn refused() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("a bound socket")
    }

    #[tokio::test]
    async fn every_address_is_told_with_its_reason() {
        let (a, b) = (refused().await, refused().await);
        let error = race(vec![a, b]).await.expect_err("nobody listens");
        let text = ReachError::Connect { tried: error }.to_string();
        assert!(text.contains(&format!("connect to {a}: ")), "{text}");
        assert!(text.contains(&format!("connect to {b}: ")), "{text}");
        assert_eq!(text.to_lowercase().matches("refused").count(), 2, "{text}");
    }

    #[tokio::test]
    async fn the_family_is_kept_to() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        let reach = |family| Reach {
            host: "127.0.0.1",
            port,
            family,
            origin: &Origin::Any,
            keep_alive: Switch::Off,
        };
        connect_tcp(reach(AddressFamily::Inet)).await.expect("it listens");
        let reached = connect_tcp(reach(AddressFamily::Any)).await.expect("it listens");
        assert!(!socket2::SockRef::from(&reached.socket).keepalive().expect("a socket option"));
        let error = connect_tcp(reach(AddressFamily::Inet6)).await.expect_err("IPv4");
        assert!(error.to_string().starts_with("127.0.0.1 has no IPv6 address"), "{error}");
    }

    #[tokio::test]
    async fn it_connects_from_where_it_is_told_to() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        let connect = async |origin: Origin| {
            let (host, family) = ("127.0.0.1", AddressFamily::Any);
            connect_tcp(Reach { host, port, family, origin: &origin, keep_alive: Switch::On }).await
        };
        let reached = connect(Origin::Address("127.0.0.2".into())).await.expect("it listens");
        let own = reached.socket.local_addr().expect("connected");
        assert_eq!(own.ip().to_string(), "127.0.0.2");
        for (origin, told) in [
            (Origin::Address("192.0.2.1".into()), "BindAddress 192.0.2.1: "),
            (Origin::Address("::1".into()), "BindAddress is of the other address family"),
            (Origin::Interface("no-such".into()), "BindInterface no-such: "),
            (
                Origin::Address("\x1b.invalid".into()),
                "BindAddress \\u{1b}.invalid does not resolve",
            ),
        ] {
            let error = connect(origin).await.expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
        #[cfg(target_os = "linux")]
        connect(Origin::Interface("lo".into())).await.expect("it listens there");
    }
}
