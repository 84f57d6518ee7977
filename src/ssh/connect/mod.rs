//! From a server's name to a session: reach it, shake hands, log in, all within a deadline.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::debug;

use self::distance::Distance;
use self::line::Sample;
use self::proxy_command::{CommandEnd, ProxyCommand};
use self::reach::Reach;
use self::ssh_socket::SshSocket;
use self::wire::Wire;
use super::session::Session;
use super::session::load::Beat;
use super::session::observed::Told;
use super::trust::auth::{Authenticated, Credentials, KeyOrder};
use super::trust::host_key::HostKeyPolicy;
use crate::destination::{Destination, Host};
use crate::lock::lock;
use crate::openssh::client_config::{ClientConfig, Jump, Way};
use crate::openssh::prompt::Prompter;
use crate::target::Target;

pub use error::{ConnectError, NoCommonAlgorithm, Stage};
pub(crate) use failure_class::FailureClass;
pub(crate) use hops::{Hops, OpeningStream};
pub use line_memory::LineMemory;
pub(crate) use liveness::Liveness;
pub use reach::ReachError;

pub(crate) mod distance;
mod error;
mod failure_class;
mod greeting;
mod handshake;
mod hops;
mod library;
mod line;
mod line_memory;
mod liveness;
mod local_command;
mod proxy_command;
mod reach;
mod shell;
mod ssh_socket;
#[cfg(test)]
mod tests;
pub(crate) mod transport;
mod wire;

/// Everything that is needed to open sessions to one server, again and again.
#[derive(Debug)]
pub(crate) struct Connector {
    config: ClientConfig,
    policy: Arc<HostKeyPolicy>,
    credentials: Credentials,
    prompter: Prompter,
    distance: Distance,
    told: Arc<Told>,
    hops: Arc<dyn Hops>,
    /// What is still to be run once the server is logged in to.
    local_command: Mutex<Option<String>>,
    /// The programs that carry the bytes (`ProxyCommand`), each until it is over.
    commands: TaskTracker,
}

/// Whether a login may ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Somebody wants the session now.
    Allowed,
    /// It is not worth a question.
    Never,
}

/// A new session, and what it took.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) login: Authenticated,
    pub(crate) took: Duration,
}

impl Connector {
    /// Prepares to connect as `config` says; `prompter` asks where a person is needed, and `hops` lead
    /// through the servers on the way.
    /// What `memory` knows of the line to it is used, and what is learnt of it is kept there.
    pub(crate) fn new(
        config: ClientConfig,
        prompter: Prompter,
        hops: Arc<dyn Hops>,
        memory: LineMemory,
    ) -> Self {
        let server = format!("{}:{}", config.host_name, config.port);
        let policy = Arc::new(HostKeyPolicy::new(&config, &prompter));
        let local_command = Mutex::new(config.session.local_command.clone());
        Self {
            config,
            policy,
            credentials: Credentials::default(),
            prompter,
            distance: Distance::of(server, memory),
            told: Arc::default(),
            hops,
            local_command,
            commands: TaskTracker::new(),
        }
    }

    /// The server's name, as the user gave it.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.config.port
    }

    /// Opens a session.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the connection is cut and nothing of it stays behind.
    pub(crate) async fn connect(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let begun = Instant::now();
        let order = self.credentials.order();
        match self.attempt(asking, begun).await {
            Err(error) if order == KeyOrder::Ssh && self.credentials.order() != order => {
                debug!(%error, "trying again, with the keys first that the server did not listen to");
                self.attempt(asking, begun).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, asking: Asking, begun: Instant) -> Result<Connected, ConnectError> {
        let (wire, command) = self.wire().await?;
        // The state of a login is large and short-lived.
        let connected = Box::pin(self.over(wire, asking, begun)).await;
        if connected.is_ok() {
            let command = lock(&self.local_command).take();
            if let Some(command) = command {
                local_command::run(&command).await;
            }
        }
        match (connected, command) {
            // How the command ended explains the rest.
            (Err(error), Some(end)) if error.is_end() => {
                Err(self.command_failed(error, &end).await)
            }
            (connected, _) => connected,
        }
    }

    /// Waits until the programs are over that have carried sessions, once those have ended.
    pub(crate) async fn ended(&self) {
        self.commands.close();
        let _ = timeout(proxy_command::LONGEST, self.commands.wait()).await;
    }

    /// What carries the bytes to the server.
    async fn wire(&self) -> Result<(Wire, Option<CommandEnd>), ConnectError> {
        match &self.config.reach.way {
            Way::Direct => Ok((Wire::Tcp(self.reach().await?), None)),
            Way::Jump(jump) => Ok((self.jump(jump).await?, None)),
            Way::Command(command) => {
                let started = ProxyCommand::start(command, &self.commands);
                let (command, end) = started.map_err(ConnectError::Shell)?;
                Ok((Wire::Command(command), Some(end)))
            }
        }
    }

    async fn reach(&self) -> Result<SshSocket, ConnectError> {
        let limit = self.connect_limit();
        let mut left = self.config.reach.connection_attempts.max(1);
        loop {
            let reached = timeout(limit, reach::connect_tcp(Reach::new(&self.config))).await;
            let error = match reached {
                Ok(Ok(reached)) => {
                    return SshSocket::new(reached, UNACKNOWLEDGED).map_err(ConnectError::Socket);
                }
                Ok(Err(error)) => error.into(),
                Err(_) => ConnectError::NoAnswer { address: self.address(), limit },
            };
            left -= 1;
            if left == 0 {
                return Err(error);
            }
            debug!(%error, "trying again in a second");
            sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    async fn jump(&self, jump: &Jump) -> Result<Wire, ConnectError> {
        let next = self.target()?;
        Ok(Wire::Channel(self.hops.open(jump, &next, self.connect_limit()).await?))
    }

    /// This server, for one on the way to connect to.
    fn target(&self) -> Result<Target, ConnectError> {
        let host = &self.config.host_name;
        let parsed = host.parse::<Host>().and_then(|h| Destination::new(h, self.config.port));
        parsed
            .map(Target::Host)
            .map_err(|why| ConnectError::Unnameable { host: error::name(host), why })
    }

    /// The server as a place, escaped.
    fn address(&self) -> String {
        match &self.config.reach.way {
            Way::Direct | Way::Jump(_) => {
                let host = error::name(&self.config.host_name);
                let port = self.config.port;
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            }
            Way::Command(_) => format!("{} (by its ProxyCommand)", error::name(&self.config.name)),
        }
    }

    fn connect_limit(&self) -> Duration {
        self.config.reach.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    async fn command_failed(&self, error: ConnectError, end: &CommandEnd) -> ConnectError {
        let Way::Command(command) = &self.config.reach.way else { return error };
        let Some((status, said)) = end.report().await else { return error };
        ConnectError::Command { command: error::name(command), status, said }
    }

    /// When a session to this server counts as dead.
    pub(crate) fn liveness(&self) -> Liveness {
        let interval = self.config.session.server_alive_interval.unwrap_or(ALIVE_INTERVAL);
        Liveness { interval, silence: interval * self.config.session.server_alive_count_max.max(1) }
    }

    /// Finds out how far away the server is, for as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, nothing is known of it.
    pub(crate) async fn measure(&self, session: &Session) -> Infallible {
        if let Some(round_trip) = session.measure().await {
            self.distance.measured(round_trip);
        }
        std::future::pending().await
    }

    /// Takes note of what `session` carried in a `span`.
    pub(crate) fn learn(&self, session: &Session, carried: Beat, span: Duration) {
        let rate = |bytes: u64| {
            let bytes = u128::from(bytes) * 1_000_000 / span.as_micros();
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        self.distance.sent(rate(carried.carried - carried.received));
        let delay = session.health().delay();
        let (Some(best), true) = (delay.best(), carried.busiest > 0) else { return };
        self.distance.learn(Sample {
            received: rate(carried.received),
            busiest: rate(carried.busiest),
            round_trip: delay.expected(),
            best,
            window: session.window(),
            upload: self.distance.upload(),
        });
    }

    /// The network may be another one.
    pub(crate) fn moved(&self) {
        self.distance.forget();
    }

    /// Whether a new session would be better than this one: it has served long enough, or its window
    /// has turned out not to suit the line.
    pub(crate) fn would_replace(&self, session: &Session) -> bool {
        session.is_expired() || self.distance.is_unfit(session.window())
    }

    /// Keeps the record up with the host keys that the server announces on `session`, for as long
    /// as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the record is as before or as it should be.
    pub(crate) async fn follow_host_keys(&self, session: &Session) -> Infallible {
        let announced = session.announced_host_keys().await;
        self.policy.follow(announced, async |keys| session.prove_host_keys(keys).await).await;
        std::future::pending().await
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.prompter.can_ask()
    }
}

/// How long the TCP connection may take, where `ConnectTimeout` does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`): as long as three lost pings.
const UNACKNOWLEDGED: Duration = Duration::from_secs(45);
/// `ConnectionAttempts` are made one a second, as with `ssh`.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);
/// How often an idle session is pinged, where `ServerAliveInterval` does not say.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
