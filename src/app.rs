//! Binds, connects, runs, drains: the only place that knows every stage.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::remote::{OnFailure, Remote};
use crate::dial::{CurrentRoutes, DEADLINE, Dialer, Routes, Routing, Servers};
use crate::forward::RemoteForward;
use crate::listen::road::RealRoad;
use crate::listen::{
    CredentialsError, FrontDoor, GreetingLimits, ListenAddress, Listener, ProxyCredentials,
};
use crate::relay::{BacklogLimits, Relayer};
use crate::route::Router;
use crate::ssh::{
    ClientConfig, ConfigError, ConfigSource, ConfiguredForwards, ConnectError, Connector,
    ListenError, Pool, PoolSize, Prompter, ServerName, SshOptions,
};

mod remote;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SSH server, as the user named it.
    pub server: ServerName,
    /// What the command line says about reaching it.
    pub ssh: SshOptions,
    /// Where to listen; at least one.
    pub listeners: Vec<ListenAddress>,
    /// The file with `user:password` that clients must know; without it everybody is served.
    pub proxy_auth: Option<PathBuf>,
    /// Listeners on the server (`-R`), besides those of its configuration.
    pub remote_forwards: Vec<RemoteForward>,
    /// How many sessions; by default as the server's login allows.
    pub sessions: Option<PoolSize>,
    /// Bounds on what waits for slow clients.
    pub backlog: BacklogLimits,
}

/// Why it did not run. Each prints its own level; the cause is its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of `--proxy-auth` cannot be used.
    #[error("--proxy-auth")]
    Credentials(#[from] CredentialsError),
    /// A listener's address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address, as the user named it.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// `ssh -G` does not take the host or the options.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server does not listen for us, and the user wants that to be the end.
    #[error("cannot listen on {place}")]
    RemoteListen {
        /// Where, in words.
        place: String,
        /// What happened.
        source: ListenError,
    },
    /// There is no session to the server.
    #[error("cannot connect to {server}")]
    Connect {
        /// The server, as the user named it.
        server: String,
        /// What happened.
        source: ConnectError,
    },
}

impl Error {
    /// Whether the command line, or a file that it names, is at fault.
    pub fn is_wrong_usage(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::Config(_) => true,
            Self::Listen { .. } | Self::RemoteListen { .. } | Self::Connect { .. } => false,
        }
    }
}

/// Serves until `shutdown` completes, and then until what runs is done, for 10 s at the most.
///
/// `ready` is called when every listener is bound and the first session is up.
///
/// # Errors
///
/// All of them come before `ready` is called.
pub async fn run(
    options: Options,
    prompter: Prompter,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::pin!(shutdown);
    let credentials = options.proxy_auth.as_deref().map(ProxyCredentials::read).transpose()?;
    let listeners = bind(&options.listeners)?;
    let (pool, configured) = tokio::select! {
        // The state of a login is large and short-lived.
        connected = Box::pin(connect(&options, prompter)) => connected?,
        () = &mut shutdown => return Ok(()),
    };

    let server: Arc<str> = pool.server().into();
    let routes = CurrentRoutes::new(Routes {
        router: Router::via_one(Arc::clone(&server)),
        servers: Servers::from_iter([(server, pool.clone())]),
    });
    let road = RealRoad {
        dialer: Dialer::new(routes, DEADLINE),
        routing: Routing::Rules,
        relayer: Relayer::new(options.backlog),
    };
    let back_road = RealRoad { routing: Routing::RulesOrDirect, ..road.clone() };
    let limits = GreetingLimits::default();
    let far_door = FrontDoor::new(back_road.clone(), credentials.clone(), limits);
    let door = Arc::new(FrontDoor::new(road, credentials, limits));
    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let accepting = TaskTracker::new();
    for listener in listeners {
        info!("listening on {} ({})", listener.name(), door.protocols());
        let (door, connections, stop) = (Arc::clone(&door), connections.clone(), stop.clone());
        accepting.spawn(async move { listener.run(door, connections, stop).await });
    }
    let service = remote::Service {
        road: back_road,
        proxy: Arc::new(far_door),
        connections: connections.clone(),
        stop: stop.clone(),
    };
    let remote_forwards = options.remote_forwards.into_iter().chain(configured.remote);
    let on_failure = OnFailure::of(configured.exit_on_forward_failure);
    for forward in remote_forwards {
        let remote = tokio::select! {
            remote = Remote::begin(&pool, forward, on_failure) => remote?,
            () = &mut shutdown => break,
        };
        accepting.spawn(remote.run(service.clone()));
    }
    ready();

    shutdown.await;
    stop.cancel();
    accepting.close();
    accepting.wait().await;
    drain(&connections).await;
    pool.shutdown().await;
    // What was cut now tells its client so.
    let _ = timeout(LAST_WORDS, connections.wait()).await;
    Ok(())
}

fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = Listener::bind(address)
            .map_err(|source| Error::Listen { address: address.to_string(), source })?;
        listeners.extend(bound);
    }
    Ok(listeners)
}

async fn connect(
    options: &Options,
    prompter: Prompter,
) -> Result<(Pool, ConfiguredForwards), Error> {
    let (config, source) = ClientConfig::query(&options.server, &options.ssh).await?;
    if source == ConfigSource::Defaults {
        warn!("there is no ssh on the PATH: ssh_config is not read, the flags and defaults count");
    }
    let (server, forwards) = (config.name.clone(), config.forwards.clone());
    let connector = Connector::new(config, prompter);
    let (pool, first) = Pool::start(connector, options.sessions)
        .await
        .map_err(|source| Error::Connect { server, source })?;
    info!(
        "connected to {} in {} ms (host key {}, {}, {})",
        pool.server(),
        first.took.as_millis(),
        first.host_key_type,
        first.key_exchange,
        first.cipher,
    );
    debug!(by = first.login, host_key = first.host_key_fingerprint, "logged in");
    Ok((pool, forwards))
}

/// Waits for the connections that run. What is left after the grace period ends with the runtime.
async fn drain(connections: &TaskTracker) {
    connections.close();
    let deadline = Instant::now() + DRAIN;
    // What ends of itself in a moment is not worth a word.
    if timeout(UNTOLD, connections.wait()).await.is_ok() {
        return;
    }
    let seconds = DRAIN.as_secs();
    let open = counted(connections.len());
    info!("waiting up to {seconds} s for {open} to end; a second signal ends at once");
    if timeout_at(deadline, connections.wait()).await.is_err() {
        warn!("cut {} that had not ended", counted(connections.len()));
    }
}

fn counted(connections: usize) -> String {
    match connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    }
}

/// How long connections may take to end once their sessions have.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long connections may go on after the program was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How much of that passes before the user is told.
const UNTOLD: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::io;

    use crate::ssh::ReachError;

    use super::*;

    #[test]
    fn no_level_of_an_error_repeats_another() {
        let no = || io::Error::other("the reason");
        let reach = ReachError::Resolve { host: "host".into(), reason: no() };
        for error in [
            Error::Listen { address: "/s".into(), source: no() },
            Error::Config(ConfigError::Run(no())),
            Error::Credentials(CredentialsError::Read { path: "file".into(), source: no() }),
            Error::Connect { server: "box".into(), source: reach.into() },
        ] {
            let told = format!("{:#}", anyhow::Error::new(error));
            assert_eq!(told.matches("the reason").count(), 1, "{told}");
        }
    }
}
