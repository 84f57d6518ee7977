//! The sockets of the dashboard, and the requests that arrive there.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use hyper::service::service_fn;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::folder::Folder;
use super::gate::{Gate, Peer};
use super::site::Site;
use crate::config::DashboardConfig;
use crate::control::{Front, Keys, Program, is_user_or_root, reply};
use crate::dial::{Kind, OwnAddresses, Registered};
use crate::listen::{Accepted, Handler, Listener, SocketOptions};
use crate::request::Source;
use crate::stream::processes::{Owner, owner_of};

/// A dashboard with bound sockets.
#[derive(Debug)]
pub(crate) struct DashboardServer {
    sockets: Vec<Listener>,
    /// Registered, so that no request through the proxy is led to them.
    ours: Vec<Registered>,
    gate: Gate,
    pub(crate) front: Front,
    folder: Option<Folder>,
}

#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address, as the user named it.
        address: String,
        cause: io::Error,
    },
    /// The folder of the other dashboard cannot be used.
    #[error("{}: {cause}", .folder.display())]
    Folder { folder: PathBuf, cause: io::Error },
    #[error("no keys: {0}")]
    Keys(io::Error),
}

impl DashboardServer {
    pub(crate) async fn bind(
        options: &DashboardConfig,
        own: &OwnAddresses,
    ) -> Result<Self, DashboardError> {
        let DashboardConfig { address, files, token } = options;
        let folder = files.as_deref().map(|folder| {
            Folder::open(folder).map_err(|cause| {
                let folder = folder.to_owned();
                DashboardError::Folder { folder, cause }
            })
        });
        let keys = Keys::new(token.clone()).map_err(DashboardError::Keys)?;
        let sockets = Listener::bind(address.listen(), SocketOptions::default()).await;
        let sockets = sockets.map_err(|cause| {
            let address = address.to_string();
            DashboardError::Listen { address, cause }
        })?;
        let bound = sockets.iter().map(Listener::bound_address);
        let ours = bound.map(|address| own.register(address, Kind::Control)).collect();
        let addresses: Vec<SocketAddr> =
            sockets.iter().filter_map(Listener::local_address).collect();
        let first = addresses.first().map_or_else(String::new, SocketAddr::to_string);
        Ok(Self {
            sockets,
            ours,
            gate: Gate::new(&addresses),
            front: Front { address: format!("http://{first}/"), keys: Arc::new(keys) },
            folder: folder.transpose()?,
        })
    }

    /// Serves the program. Once `closed` is cancelled the address is free, and only existing connections are
    /// served; once `ended` is cancelled as well, only their answers in progress are finished.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections, and frees the address.
    pub(crate) async fn run(
        self,
        program: Program,
        closed: CancellationToken,
        ended: CancellationToken,
    ) {
        let Self { sockets, ours, gate, front, folder } = self;
        let site = Arc::new(Site {
            port: sockets.iter().find_map(Listener::local_address).map_or(0, |at| at.port()),
            program,
            gate,
            keys: front.keys,
            folder,
            clients: Semaphore::new(MOST_CLIENTS),
            strangers: Semaphore::new(MOST_STRANGERS),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            sockets: TaskTracker::new(),
        });
        let (clients, stop) = (TaskTracker::new(), CancellationToken::new());
        let _end = stop.clone().drop_guard();
        // Accepts in this future itself, so that dropping it frees the address.
        let accept =
            |socket: Listener| socket.run(Arc::clone(&site), clients.clone(), stop.clone());
        let accepting = join_all(sockets.into_iter().map(accept));
        tokio::select! {
            _ = accepting => {}
            () = closed.cancelled() => {}
        }
        drop(ours);
        ended.cancelled().await;
        stop.cancel();
        clients.close();
        clients.wait().await;
    }
}

impl Handler for Site {
    async fn serve(self: Arc<Self>, accepted: Accepted, shutdown: CancellationToken) {
        let Ok(_permit) = self.clients.try_acquire() else { return };
        let peer = peer_of(accepted.source, self.port).await;
        // Other users can exclude only each other.
        let _room = match peer {
            Peer::User => None,
            Peer::Stranger => match self.strangers.try_acquire() {
                Ok(room) => Some(room),
                Err(_) => return,
            },
        };
        let service = service_fn(|request| {
            let (site, shutdown) = (Arc::clone(&self), shutdown.clone());
            async move { Ok::<_, Infallible>(site.answer(request, peer, &shutdown).await) }
        });
        let ended = shutdown.cancelled();
        if let Err(error) = reply::serve(accepted.stream, BUFFER, service, ended).await {
            debug!(%error, "a client of the dashboard");
        }
    }
}

/// The owner of a connection. A client that has already closed can no longer be identified, and counts as a
/// stranger, because its request would still be carried out.
async fn peer_of(source: Source, port: u16) -> Peer {
    let Source::Tcp(client) = source else { return Peer::User };
    match spawn_blocking(move || owner_of(client, port)).await {
        Ok(Owner::User(user)) if is_user_or_root(user) => Peer::User,
        Ok(Owner::Unknown) => Peer::User,
        Ok(Owner::User(_) | Owner::Nobody) => {
            debug!("another user, or a client that has left, connected to the dashboard");
            Peer::Stranger
        }
        Err(_) => Peer::Stranger,
    }
}

/// The most connections.
const MOST_CLIENTS: usize = 64;
/// The most connections of other local users.
const MOST_STRANGERS: usize = 16;
/// The most streams of the Clash API.
const MOST_STREAMS: usize = 32;
/// The most bytes of a request's head. Browsers send all cookies of `localhost`.
const BUFFER: usize = 64 * 1024;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_client_that_leaves_before_it_is_identified_is_a_stranger() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let client = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let (_accepted, from) = listener.accept().await.expect("it is connected");
        assert_eq!(peer_of(Source::Tcp(from), port).await, Peer::User);
        drop(client);
        assert_eq!(peer_of(Source::Tcp(from), port).await, Peer::Stranger);
    }
}
