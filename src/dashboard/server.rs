//! The sockets, and the requests that come in there.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::folder::Folder;
use super::gate::Gate;
use super::site::Site;
use crate::config::DashboardConfig;
use crate::control::{Front, Keys, Program};
use crate::dial::{Kind, OwnPlaces, Registered};
use crate::forward::SocketFiles;
use crate::listen::{Accepted, Handler, Listener};

/// A dashboard whose sockets are bound.
#[derive(Debug)]
pub struct DashboardServer {
    sockets: Vec<Listener>,
    /// Nobody is led there from here.
    _ours: Vec<Registered>,
    gate: Gate,
    front: Front,
    folder: Option<Folder>,
}

/// Why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address, as the user named it.
        address: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The folder of the other dashboard cannot be used.
    #[error("{}: {cause}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The system has no random numbers.
    #[error("no keys: {0}")]
    Keys(io::Error),
}

impl DashboardServer {
    /// Binds the sockets.
    ///
    /// # Errors
    ///
    /// They cannot be had, or the folder cannot be used.
    pub fn bind(options: &DashboardConfig, own: &OwnPlaces) -> Result<Self, DashboardError> {
        let DashboardConfig { address, files, token } = options;
        let folder = files.as_deref().map(|folder| {
            Folder::open(folder).map_err(|cause| {
                let folder = folder.to_owned();
                DashboardError::Folder { folder, cause }
            })
        });
        let keys = Keys::new(token.clone()).map_err(DashboardError::Keys)?;
        let sockets = Listener::bind(address.listen(), SocketFiles::default());
        let sockets = sockets.map_err(|cause| {
            let address = address.to_string();
            DashboardError::Listen { address, cause }
        })?;
        let places = sockets.iter().map(Listener::place);
        let ours = places.map(|place| own.register(place, Kind::Control)).collect();
        let addresses: Vec<SocketAddr> =
            sockets.iter().filter_map(Listener::local_address).collect();
        let first = addresses.first().map_or_else(String::new, SocketAddr::to_string);
        Ok(Self {
            sockets,
            _ours: ours,
            gate: Gate::new(&addresses),
            front: Front { address: format!("http://{first}/"), keys: Arc::new(keys) },
            folder: folder.transpose()?,
        })
    }

    /// Where browsers find it, and what lets them in.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Answers for the program, for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it ends all that it serves.
    pub async fn run(self, program: Program) {
        let Self { sockets, _ours, gate, front, folder } = self;
        let site = Arc::new(Site {
            program,
            gate,
            keys: front.keys,
            folder,
            clients: Semaphore::new(MOST_CLIENTS),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            sockets: TaskTracker::new(),
        });
        let (clients, stop) = (TaskTracker::new(), CancellationToken::new());
        let _end = stop.clone().drop_guard();
        let accepting = TaskTracker::new();
        for socket in sockets {
            accepting.spawn(socket.run(Arc::clone(&site), clients.clone(), stop.clone()));
        }
        accepting.close();
        accepting.wait().await;
    }
}

impl Handler for Site {
    async fn serve(self: Arc<Self>, accepted: Accepted, shutdown: CancellationToken) {
        let Ok(_permit) = self.clients.try_acquire() else { return };
        let service = service_fn(|request| {
            let (site, shutdown) = (Arc::clone(&self), shutdown.clone());
            async move { Ok::<_, Infallible>(site.answer(request, &shutdown).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(BUFFER);
        let connection =
            http.serve_connection(TokioIo::new(accepted.stream), service).with_upgrades();
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                debug!(%error, "a client of the dashboard");
            },
            () = shutdown.cancelled() => {}
        }
    }

    fn make_room(&self) {
        // Its clients are few, and each is the user.
    }
}

/// How many connections there may be.
const MOST_CLIENTS: usize = 64;
/// How many streams of the Clash API.
const MOST_STREAMS: usize = 32;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is held of a request's head. Browsers send all cookies of `localhost` along.
const BUFFER: usize = 64 * 1024;
