//! TCP connections to the SSH server, whose name is the only one resolved on this side. All of its addresses
//! are tried.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use crate::openssh::client_config::{AddressFamily, ClientConfig, Origin, Switch};
use crate::printable::{Lines, printable};
use crate::stream::happy_eyeballs::{STAGGER, interleave, race_by};
use crate::stream::options::bind_device;

/// Why no address of the server accepted a connection.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReachError {
    /// The server's own name does not resolve.
    #[error(
        "the name {host} does not resolve: {reason}; check its spelling, HostName in ssh_config, and \
         the network"
    )]
    Resolve {
        host: String,
        /// The resolver's error. Not the source, since the text is complete.
        reason: io::Error,
    },
    #[error("{host} has no {family} address; AddressFamily, -4 or -6 asks for one")]
    NoAddress { host: String, family: AddressFamily },
    #[error(
        "BindAddress {address} does not resolve: {reason}; it must be an address of this machine"
    )]
    Bind {
        /// The configured address, escaped.
        address: String,
        reason: io::Error,
    },
    #[error("{}{}", attempts(.tried), advice(.tried))]
    Connect {
        /// Each address with its error, in the order of failure.
        tried: Vec<(SocketAddr, io::Error)>,
    },
}

/// The failed addresses with their errors.
fn attempts(tried: &[(SocketAddr, io::Error)]) -> String {
    let each = tried.iter().map(|(address, error)| format!("connect to {address}: {error}"));
    each.collect::<Vec<_>>().join("; ")
}

/// What to do about it, if that is clear.
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

/// An [`Origin`] whose name has been resolved.
#[derive(Clone, Debug)]
enum LocalEnd {
    Any,
    Addresses(Vec<SocketAddr>),
    Interface(String),
}

/// Connects to the first address of the configured host that answers. Also returns how long that took, without
/// the look-up.
///
/// The socket has `TCP_NODELAY`, and `SO_KEEPALIVE` according to `TCPKeepAlive`. There is no time limit here:
/// the caller enforces `ConnectTimeout`.
///
/// # Cancel safety
///
/// Dropping the future closes every attempt. A look-up in progress continues on a blocking thread until the
/// system's resolver returns; its result is discarded.
pub(crate) async fn connect_tcp(
    config: &ClientConfig,
) -> Result<(TcpStream, Duration), ReachError> {
    let (host, family) = (config.host_name.as_str(), config.reach.address_family);
    let found = tokio::net::lookup_host((host, config.port))
        .await
        .map_err(|reason| ReachError::Resolve { host: host.to_owned(), reason })?;
    let addresses = interleave(found.filter(|address| family.admits(address.ip())));
    if addresses.is_empty() {
        return Err(ReachError::NoAddress { host: host.to_owned(), family });
    }
    let (from, keep_alive) = (resolve(&config.reach.origin).await?, config.reach.tcp_keep_alive);
    let attempt = |address| attempt(address, from.clone(), keep_alive);
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

async fn attempt(
    address: SocketAddr,
    from: LocalEnd,
    keep_alive: Switch,
) -> io::Result<(TcpStream, Duration)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    from.apply(&socket, address)?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(keep_alive.is_on())?;
    let begun = Instant::now();
    let socket = socket.connect(address).await?;
    Ok((socket, begun.elapsed()))
}

impl LocalEnd {
    /// Binds the socket to this end.
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
    use crate::openssh::client_config::SshOptions;
    use crate::stream::happy_eyeballs::race;

    /// Connects to a port on 127.0.0.1.
    async fn connect(port: u16, options: &[&str]) -> Result<TcpStream, ReachError> {
        let name = format!("me@127.0.0.1:{port}").parse().expect("a name");
        let options = options.iter().map(|&option| option.into()).collect();
        let options = SshOptions { options, ..SshOptions::default() };
        let (config, _) = ClientConfig::without_ssh(&name, &options).expect("plain");
        connect_tcp(&config).await.map(|(socket, _)| socket)
    }

    /// A loopback address on which nothing listens: bound and released.
    async fn refused() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("a bound socket")
    }

    #[tokio::test]
    async fn every_address_is_reported_with_its_error() {
        let (a, b) = (refused().await, refused().await);
        let error = race(vec![a, b]).await.expect_err("nobody listens");
        let text = ReachError::Connect { tried: error }.to_string();
        assert!(text.contains(&format!("connect to {a}: ")), "{text}");
        assert!(text.contains(&format!("connect to {b}: ")), "{text}");
        assert_eq!(text.to_lowercase().matches("refused").count(), 2, "{text}");
    }

    #[tokio::test]
    async fn only_the_configured_family_is_used() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        connect(port, &["AddressFamily=inet"]).await.expect("it listens");
        let socket = connect(port, &["TCPKeepAlive=no"]).await.expect("it listens");
        assert!(!socket2::SockRef::from(&socket).keepalive().expect("a socket option"));
        let error = connect(port, &["AddressFamily=inet6"]).await.expect_err("IPv4");
        assert!(error.to_string().starts_with("127.0.0.1 has no IPv6 address"), "{error}");
    }

    #[tokio::test]
    async fn the_socket_is_bound_to_the_configured_origin() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        let socket = connect(port, &["BindAddress=127.0.0.2"]).await.expect("it listens");
        let own = socket.local_addr().expect("connected");
        assert_eq!(own.ip().to_string(), "127.0.0.2");
        for (option, expected) in [
            ("BindAddress=192.0.2.1", "BindAddress 192.0.2.1: "),
            ("BindAddress=::1", "BindAddress is of the other address family"),
            ("BindInterface=no-such", "BindInterface no-such: "),
            ("BindAddress=\x1b.invalid", "BindAddress \\u{1b}.invalid does not resolve"),
        ] {
            let error = connect(port, &[option]).await.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        #[cfg(target_os = "linux")]
        connect(port, &["BindInterface=lo"]).await.expect("it listens there");
    }
}
