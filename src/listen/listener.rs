//! A bound socket and its accept loop.

use std::io;
use std::net::{self, IpAddr, SocketAddr};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, warn};

use super::handler::{Accepted, Handler};
use super::socket_file::{self, SocketFile};
use super::socket_options::SocketOptions;
use super::stream::ClientStream;
use crate::dial::{BoundAddress, DialError, look_up};
use crate::forward::listen_address::{Bind, ListenAddress};
use crate::request::Source;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    socket: Bound,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// The socket's file, removed on drop; none if it belongs to somebody else.
        _file: Option<SocketFile>,
    },
}

/// How long to pause a listener that cannot accept, and when to log it.
#[derive(Debug, Default)]
struct Shortage {
    /// The last pause; none after a connection was accepted.
    pause: Option<Duration>,
    last: Option<Instant>,
}

impl Listener {
    /// Binds every socket that the address stands for: `127.0.0.1` and `::1` for a bare port, and all addresses
    /// of a name.
    ///
    /// Address families that `options` excludes or this machine lacks are skipped as long as one remains; so are
    /// addresses whose port is taken, with a warning, as in ssh. For port 0, all sockets get the same chosen port.
    ///
    /// # Errors
    ///
    /// No address remains: the system's error, preferably that the port is taken.
    pub async fn bind(address: &ListenAddress, options: SocketOptions) -> io::Result<Vec<Self>> {
        match address {
            ListenAddress::Unix(path) => {
                let (listener, file) = socket_file::listen(path, options.files)?;
                let name = path.display().to_string().into();
                Ok(vec![Self { name, socket: Bound::Unix { listener, _file: Some(file) } }])
            }
            ListenAddress::Tcp { bind, port } => {
                let mut addresses = addresses(bind, *port).await?;
                addresses.retain(|address| options.family.admits(address.ip()));
                bind_all(&addresses)
            }
        }
    }

    /// Wraps a listening TCP socket.
    ///
    /// # Errors
    ///
    /// The system refuses an operation on it.
    pub(super) fn adopt_tcp(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let name = listener.local_addr()?.to_string().into();
        Ok(Self { name, socket: Bound::Tcp(TcpListener::from_std(listener)?) })
    }

    /// Wraps a listening unix socket at `path`, whose file is not removed.
    ///
    /// # Errors
    ///
    /// The system refuses an operation on it.
    pub(super) fn adopt_unix(listener: unix::UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let name = path.display().to_string().into();
        let listener = UnixListener::from_std(listener)?;
        Ok(Self { name, socket: Bound::Unix { listener, _file: None } })
    }

    /// The address as displayed and logged: `127.0.0.1:1080`, `[::1]:1080` or a path. Port 0 is replaced by the
    /// chosen one.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The bound address.
    pub fn bound_address(&self) -> BoundAddress {
        match self.local_address() {
            Some(address) => BoundAddress::Tcp(address),
            None => BoundAddress::Unix(PathBuf::from(&*self.name)),
        }
    }

    /// The address to connect to, if it is a TCP socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            Bound::Unix { .. } => None,
        }
    }

    /// Accepts until `shutdown`, and spawns a task on `tracker` for each connection. The tasks end by
    /// themselves: those in greeting at once, the others with their connection.
    pub async fn run<D: Handler>(
        self,
        handler: Arc<D>,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) {
        let mut shortage = Shortage::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, source)) => {
                    shortage.resolved();
                    let span = debug_span!("client", listener = %self.name, %source);
                    let accepted = Accepted { stream, source, listener: self.name.clone() };
                    let serve = handler.clone().serve(accepted, shutdown.clone());
                    tracker.spawn(serve.instrument(span));
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(listener = %self.name, %error, "a connection was lost in accept");
                }
                Err(error) => {
                    if shortage.is_news() {
                        warn!(listener = %self.name, %error, "cannot accept connections for now");
                    }
                    // It may free the descriptor that is missing.
                    handler.make_room();
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = sleep(shortage.pause()) => {}
                    }
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(ClientStream, Source)> {
        match &self.socket {
            Bound::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((stream.into(), Source::Tcp(address)))
            }
            Bound::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), Source::Unix))
            }
        }
    }
}

impl Shortage {
    /// Whether there was no shortage in the last minute: a recurring one is logged once.
    fn is_news(&mut self) -> bool {
        let now = Instant::now();
        self.last.replace(now).is_none_or(|last| now - last > EPISODE)
    }

    /// The next pause, twice the last one and at most a second: the accept queue remains readable, so that an
    /// immediate retry would spin.
    fn pause(&mut self) -> Duration {
        let pause = self.pause.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        pause
    }

    /// Resets the pause after a connection was accepted.
    fn resolved(&mut self) {
        self.pause = None;
    }
}

/// The results for the addresses of a listener.
#[derive(Default)]
struct Attempt {
    listeners: Vec<Listener>,
    /// The addresses of this machine that could not be bound.
    failed: Vec<(SocketAddr, io::Error)>,
    absent: Option<io::Error>,
}

/// The distinct addresses to bind. The look-up of a name has the usual deadline on this machine.
async fn addresses(bind: &Bind, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = match bind {
        Bind::Name(name) => match look_up(name).await {
            Some(found) if found.is_empty() => {
                return Err(io::Error::other(DialError::NameNotFound));
            }
            found => found.ok_or_else(|| io::Error::other(DialError::LookUpFailed))?,
        },
        Bind::Loopback | Bind::All | Bind::Address(_) => bind.addresses(),
    };
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

fn bind_all(addresses: &[SocketAddr]) -> io::Result<Vec<Listener>> {
    let is_chosen = addresses.iter().any(|address| address.port() == 0);
    let mut attempts = if is_chosen { PORT_ATTEMPTS } else { 1 };
    let Attempt { listeners, mut failed, absent } = loop {
        attempts -= 1;
        let attempt = bind_once(addresses)?;
        let is_taken = |(_, error): &(_, io::Error)| error.kind() == io::ErrorKind::AddrInUse;
        // The port chosen for the first address is taken on the second: another one is chosen.
        if attempts == 0 || !attempt.failed.iter().any(is_taken) {
            break attempt;
        }
    };
    if listeners.is_empty() {
        let left_out = || io::Error::other("AddressFamily, -4 or -6 leaves out its address");
        return Err(failed.pop().map(|(_, error)| error).or(absent).unwrap_or_else(left_out));
    }
    for (address, error) in failed {
        warn!("cannot listen on {address}: {error}");
    }
    Ok(listeners)
}

fn bind_once(addresses: &[SocketAddr]) -> io::Result<Attempt> {
    let (mut attempt, mut chosen) = (Attempt::default(), None);
    for mut address in addresses.iter().copied() {
        if let Some(port) = chosen {
            address.set_port(port);
        }
        match bind_tcp(address) {
            Ok(listener) => {
                let address = listener.local_addr()?;
                chosen = Some(address.port());
                let name = address.to_string().into();
                attempt.listeners.push(Listener { name, socket: Bound::Tcp(listener) });
            }
            Err(error) if is_absent(address.ip(), &error) => attempt.absent = Some(error),
            Err(error) => attempt.failed.push((address, error)),
        }
    }
    Ok(attempt)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run in TIME_WAIT must not block the port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Each family has a socket of its own, so that IPv4 clients have IPv4 addresses.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(net::TcpListener::from(socket))
}

/// Whether the machine lacks the address family, or the address.
fn is_absent(ip: IpAddr, error: &io::Error) -> bool {
    let no_family = Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT);
    let ours = ip.is_loopback() || ip.is_unspecified();
    ours && (no_family || error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// Whether an error of accept(2) is one of the pending connection. Errors of the machine last until a resource is
/// freed; unlisted errors count as such, since an unnecessary pause does less harm than a busy loop.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PROTO
                | Errno::PERM
                | Errno::NOPROTOOPT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::TIMEDOUT
                // Reported by setsockopt for a connection that has ended.
                | Errno::INVAL
                | Errno::NOTCONN,
        )
    )
}

/// The length of the accept queue, up to the system's limit.
pub(crate) const BACKLOG: i32 = 1024;
/// How often another port is chosen if one is free on `127.0.0.1` but taken on `::1`.
const PORT_ATTEMPTS: u32 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time within which shortages count as one.
const EPISODE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
