//! Direct connections to the target, if a rule says so.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::net::UnixStream;
use tracing::debug;

use super::DialError;
use super::look_up::look_up;
use super::own::{Kind, OwnAddresses};
use crate::channel::Direct;
use crate::destination::{Destination, Host};
use crate::request::Protocol;
use crate::stream::Socket;
use crate::stream::happy_eyeballs::{Tried, interleave, race};
use crate::target::Target;

/// The program's own listeners, which are not connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avoided<'a> {
    pub(super) own_addresses: &'a OwnAddresses,
    /// The protocol of the request.
    pub(super) protocol: Protocol,
}

/// Connects to `target`. If a rule has checked its addresses, only those are tried; otherwise a name is looked
/// up on this machine. Avoided addresses are never connected to.
///
/// # Cancel safety
///
/// Dropping the future aborts the connection.
pub(super) async fn connect(
    target: &Target,
    checked: Option<&[IpAddr]>,
    avoided: Avoided<'_>,
) -> Result<Direct, DialError> {
    let socket = match target {
        Target::Host(destination) => tcp(destination, checked, avoided).await?,
        Target::Socket(path) if avoided.has(avoided.own_addresses.at_path(Path::new(&**path))) => {
            return Err(DialError::Loop);
        }
        Target::Socket(path) => unix(path).await?,
    };
    Ok(Direct::new(socket))
}

impl Avoided<'_> {
    /// Whether to avoid the address. A forward's target, which the user has configured, may be a listener.
    fn has(&self, own: Option<Kind>) -> bool {
        own.is_some_and(|kind| kind == Kind::Control || self.protocol != Protocol::Forward)
    }
}

async fn tcp(
    destination: &Destination,
    checked: Option<&[IpAddr]>,
    avoided: Avoided<'_>,
) -> Result<Socket, DialError> {
    let addresses = match (checked, destination.host()) {
        (Some(checked), _) => checked.to_vec(),
        (None, Host::Ip(ip)) => vec![*ip],
        (None, Host::Name(name)) => look_up(name).await.ok_or(DialError::LookUpFailed)?,
    };
    if addresses.is_empty() {
        return Err(DialError::NameNotFound);
    }
    let port = destination.port();
    let mut addresses: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    addresses.retain(|address| !avoided.has(avoided.own_addresses.at(*address)));
    if addresses.is_empty() {
        return Err(DialError::Loop);
    }
    let addresses = interleave(addresses.into_iter());
    race(addresses).await.map(Socket::Tcp).map_err(|tried| {
        for (address, error) in &tried {
            debug!(%address, %error, "the address does not take the connection");
        }
        most_informative(&tried)
    })
}

async fn unix(path: &Arc<str>) -> Result<Socket, DialError> {
    UnixStream::connect(&**path).await.map(Socket::Unix).map_err(|error| {
        debug!(%path, %error, "the socket does not take the connection");
        fault(&error)
    })
}

/// The most informative of several failures: a missing address family says nothing about the target.
fn most_informative(tried: &Tried) -> DialError {
    let faults: Vec<_> = tried.iter().map(|(_, error)| fault(error)).collect();
    let order = [
        DialError::ConnectionRefused,
        DialError::TimedOut,
        DialError::NoRouteToHost,
        DialError::NetworkUnreachable,
        DialError::Exhausted,
    ];
    order.into_iter().find(|fault| faults.contains(fault)).unwrap_or(DialError::Unreachable)
}

fn fault(error: &io::Error) -> DialError {
    if is_exhausted(error) {
        return DialError::Exhausted;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::ConnectionRefused,
        io::ErrorKind::HostUnreachable => DialError::NoRouteToHost,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            DialError::NetworkUnreachable
        }
        io::ErrorKind::TimedOut => DialError::TimedOut,
        // Other errors say nothing certain about the target.
        _ => DialError::Unreachable,
    }
}

/// Whether this machine is out of resources; connect(2) returns `EADDRNOTAVAIL` for ports.
fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    async fn failure(target: Target, checked: Option<&[IpAddr]>) -> DialError {
        connect(&target, checked, nothing(&OwnAddresses::default()))
            .await
            .expect_err("nothing listens there")
    }

    fn nothing(own_addresses: &OwnAddresses) -> Avoided<'_> {
        Avoided { own_addresses, protocol: Protocol::Socks5 }
    }

    fn host(text: &str) -> Target {
        Destination::parse(text, None).expect(text).into()
    }

    #[test]
    fn system_errors_map_to_dial_errors() {
        for (errno, expected) in [
            (Errno::CONNREFUSED, DialError::ConnectionRefused),
            (Errno::HOSTUNREACH, DialError::NoRouteToHost),
            (Errno::NETUNREACH, DialError::NetworkUnreachable),
            (Errno::TIMEDOUT, DialError::TimedOut),
            (Errno::PERM, DialError::Unreachable),
            (Errno::MFILE, DialError::Exhausted),
            (Errno::ADDRNOTAVAIL, DialError::Exhausted),
        ] {
            assert_eq!(fault(&errno.into()), expected, "{errno:?}");
        }
    }

    #[test]
    fn an_answer_from_the_target_counts_most() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let tried = [Errno::NETUNREACH, Errno::CONNREFUSED, Errno::HOSTUNREACH];
        let tried = tried.map(|errno| (address, io::Error::from(errno))).into();
        assert_eq!(most_informative(&tried), DialError::ConnectionRefused);
        assert_eq!(most_informative(&Vec::new()), DialError::Unreachable);
    }

    #[tokio::test]
    async fn only_the_checked_addresses_are_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        // The name does not resolve, and is not looked up.
        let target = host(&format!("name.invalid:{port}"));
        let checked = [IpAddr::from(Ipv4Addr::LOCALHOST)];
        connect(&target, Some(&checked), nothing(&OwnAddresses::default()))
            .await
            .expect("it listens");
        // `localhost` would reach the listener, but the checked address is another one.
        let elsewhere = [IpAddr::from([127, 0, 0, 2])];
        let target = host(&format!("localhost:{port}"));
        assert_eq!(failure(target, Some(&elsewhere)).await, DialError::ConnectionRefused);
        assert_eq!(failure(host("name.invalid:80"), Some(&[])).await, DialError::NameNotFound);
    }

    #[tokio::test]
    async fn a_socket_s_path_leads_to_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let target = || Target::Socket(path.to_str().expect("ASCII").into());
        assert_eq!(failure(target(), None).await, DialError::Unreachable);
        let _listener = UnixListener::bind(&path).expect("a free path");
        connect(&target(), None, nothing(&OwnAddresses::default())).await.expect("it listens");
        // A child of another test may have that one open for a moment.
        let deaf = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let path = folder.path().join("deaf");
        deaf.bind(&SockAddr::unix(&path).expect("a path")).expect("a free path");
        let target = Target::Socket(path.to_str().expect("ASCII").into());
        assert_eq!(failure(target, None).await, DialError::ConnectionRefused);
    }

    #[tokio::test]
    async fn own_listeners_are_no_targets_of_clients() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let own_addresses = OwnAddresses::default();
        let by = |protocol| Avoided { own_addresses: &own_addresses, protocol };
        let hosts = ["127.0.0.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]"];
        let targets: Vec<_> =
            hosts.iter().map(|text| host(&format!("{text}:{}", address.port()))).collect();
        let ours = own_addresses.register(super::super::BoundAddress::Tcp(address), Kind::Listener);
        // `localhost` may also be ::1, where nothing listens.
        for target in &targets {
            let refused = connect(target, None, by(Protocol::Socks5)).await.expect_err("ours");
            assert!(matches!(refused, DialError::Loop | DialError::ConnectionRefused), "{refused}");
            connect(target, None, by(Protocol::Forward)).await.expect("the user named it");
        }
        drop(ours);
        let _control =
            own_addresses.register(super::super::BoundAddress::Tcp(address), Kind::Control);
        for target in &targets {
            let refused = connect(target, None, by(Protocol::Forward)).await.expect_err("control");
            assert!(matches!(refused, DialError::Loop | DialError::ConnectionRefused), "{refused}");
        }
    }
}
