//! An in-process SSH server, for `sockeye demo` and for tests.
//!
//! It forwards to this machine only, accepts one key that is made for this run, and offers no shell, commands
//! or files. A target that does not read blocks the other connections of its session (russh suspends a session
//! when the queue of a channel is full), so it is not a server for daily use.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::Config;
use russh::{Disconnect, Limits, MethodKind, MethodSet};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod handler;

use handler::SessionHandler;

/// The running server. It ends when dropped, or cleanly with [`DemoServer::shutdown`].
#[derive(Debug)]
pub struct DemoServer {
    address: SocketAddr,
    directory: TempDir,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl DemoServer {
    /// Starts the server on a free port of 127.0.0.1. Its client key and a `known_hosts` file with
    /// its host key are written to a directory that only this user may enter, and that is removed
    /// with the server.
    pub async fn start() -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("sockeye-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let host_key = new_key()?;
        let client_key = new_key()?;
        let host_public = host_key.public_key().to_openssh().map_err(io::Error::other)?;
        let server =
            Self { address, directory, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let known_host = format!("[{}]:{} {}\n", address.ip(), address.port(), host_public);
        std::fs::write(server.known_hosts(), known_host)?;
        // The mode is 0600: ssh refuses a key that others may read.
        client_key
            .write_openssh_file(server.client_key(), LineEnding::LF)
            .map_err(io::Error::other)?;

        let acceptor = Acceptor {
            config: Arc::new(config(host_key)),
            handler: SessionHandler::new(
                Arc::new(client_key.public_key().clone()),
                server.tasks.clone(),
                server.stop.clone(),
            ),
            tasks: server.tasks.clone(),
            stop: server.stop.clone(),
        };
        server.tasks.spawn(acceptor.run(listener));
        Ok(server)
    }

    /// The address on which it listens: 127.0.0.1 and a port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The only user name it accepts.
    pub fn user(&self) -> &'static str {
        handler::USER
    }

    /// The file with the only private key that it accepts, in OpenSSH's format, unencrypted.
    pub fn client_key(&self) -> PathBuf {
        self.directory.path().join("id_ed25519")
    }

    /// A `known_hosts` file with its host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// Ends every session, waits for their tasks (at most 2 s), and removes the files.
    pub async fn shutdown(self) -> io::Result<()> {
        self.stop.cancel();
        self.tasks.close();
        // Tasks that outlast this end with the runtime.
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
        let directory: &Path = self.directory.path();
        std::fs::remove_dir_all(directory)
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts connections and owns their tasks.
struct Acceptor {
    config: Arc<Config>,
    handler: SessionHandler,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let sessions = Arc::new(Semaphore::new(MAX_SESSIONS));
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            let Ok((socket, peer)) = accepted else {
                // Usually the process is out of descriptors: pause instead of spinning.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&sessions).try_acquire_owned() else {
                tracing::debug!(%peer, "demo server: too many sessions");
                continue;
            };
            let config = Arc::clone(&self.config);
            let (handler, stop) = (self.handler.for_new_session(), self.stop.clone());
            self.tasks.spawn(async move {
                if let Err(error) = serve(config, socket, handler, stop).await {
                    tracing::debug!(%peer, %error, "demo server: a session ended");
                }
                drop(permit);
            });
        }
    }
}

/// Serves one session until it ends or the server does.
async fn serve(
    config: Arc<Config>,
    socket: TcpStream,
    handler: SessionHandler,
    stop: CancellationToken,
) -> Result<(), russh::Error> {
    socket.set_nodelay(true)?;
    let setup = russh::server::run_stream(config, socket, handler);
    let Some(session) = stop.run_until_cancelled(setup).await else { return Ok(()) };
    let mut session = session?;
    let handle = session.handle();
    tokio::select! {
        result = &mut session => result,
        () = stop.cancelled() => {
            let text = String::from("the demo is over");
            handle.disconnect(Disconnect::ByApplication, text, String::new()).await?;
            session.await
        }
    }
}

/// The configuration: login by key only, with limits for loopback connections.
fn config(host_key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        keys: vec![host_key],
        auth_rejection_time: Duration::from_millis(100),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        // Ends a session whose client has gone silent, in the middle of the handshake or later. A
        // live client answers the keepalives.
        inactivity_timeout: Some(Duration::from_secs(120)),
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 3,
        channel_buffer_size: 1024,
        // No rekeying: a rekey that russh starts can end a session with much data in flight. One
        // run of a demo stays far below what a key may carry.
        limits: Limits {
            rekey_write_limit: usize::MAX,
            rekey_read_limit: usize::MAX,
            rekey_time_limit: Duration::from_secs(365 * 24 * 3600),
        },
        ..Config::default()
    }
}

/// Makes an ed25519 key from the system's random numbers.
fn new_key() -> io::Result<PrivateKey> {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other)
}

/// The most concurrent sessions: up to 8 by default for the pool, and the rest for `ssh`.
const MAX_SESSIONS: usize = 32;
/// The longest wait for sessions to end.
const GRACE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
