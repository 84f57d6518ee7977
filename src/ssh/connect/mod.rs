//! From a server's name to a session: connecting, the key exchange and the login, within a deadline.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::debug;

use self::line::Sample;
use self::patience::Programs;
use self::proxy_command::{CommandEnd, ProxyCommand};
use self::ssh_socket::SshSocket;
use self::window_estimator::WindowEstimator;
use super::session::Session;
use super::session::inflow::Inflow;
use super::session::load::Beat;
use super::session::observed::Hint;
use super::session::outflow::{Outflow, per_second};
use super::trust::auth::{Authenticated, Credentials, KeyOrder};
use super::trust::host_key::HostKeyPolicy;
use crate::destination::{Destination, Host};
use crate::openssh::client_config::{ClientConfig, Way};
use crate::openssh::prompt::Prompter;
use crate::stream::ByteStream;
use crate::stream::options::LIMITS_AHEAD;
use crate::target::Target;
use crate::task;

pub use error::{ConnectError, NoCommonAlgorithm, Stage};
pub(crate) use hops::{Hop, Hops, OpeningHop};
pub use line_memory::LineMemory;
pub use reach::ReachError;

mod error;
mod greeting;
mod handshake;
mod hops;
mod line;
mod line_memory;
mod patience;
mod proxy_command;
mod reach;
mod russh_config;
mod shell;
mod ssh_socket;
#[cfg(test)]
mod tests;
pub(crate) mod transport;
mod window_estimator;

/// Opens any number of sessions to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    config: ClientConfig,
    policy: Arc<HostKeyPolicy>,
    credentials: Credentials,
    prompter: Prompter,
    windows: WindowEstimator,
    hint: Arc<Hint>,
    hops: Arc<dyn Hops>,
    /// The task that waits for the `LocalCommand`, which is run after the first login. If aborted, the command
    /// keeps running.
    local_command_runs: OnceLock<AbortOnDropHandle<()>>,
    /// The `ProxyCommand`s, each until it has ended.
    commands: TaskTracker,
    programs: Programs,
}

/// Whether a login may ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// The session is wanted now.
    Allowed,
    /// The session is not worth a question.
    Never,
}

/// How far an attempt to connect got, and so how much another one would burden the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The server was unreachable: no one was burdened.
    Unreachable,
    /// The server turned the client away before the login: it may be full.
    TurnedAway,
    /// The login or the host key was refused: servers count repeated attempts, and repeated questions annoy people.
    Refused,
}

/// When a session counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// How often an idle server is pinged (`ServerAliveInterval`).
    pub(crate) interval: Duration,
    /// How long a ping may be unanswered.
    pub(crate) silence: Duration,
}

/// A new session, and how long it took.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) login: Authenticated,
    pub(crate) took: Duration,
}

/// The transport to a server, before any data is exchanged.
struct Wired {
    stream: Box<dyn ByteStream>,
    /// The duration of the connection itself, excluding jump hosts; none for a `ProxyCommand`.
    connecting: Option<Duration>,
    /// Receives the measured rate of the line.
    outflow: Arc<Outflow>,
    /// The limit on data in flight from the server, if the transport supports one.
    inflow: Option<Arc<Inflow>>,
    /// The `ProxyCommand`, if there is one.
    command: Option<CommandEnd>,
}

impl Connector {
    /// Prepares to connect according to `config`; `prompter` asks when a person is needed, and `hops` connects
    /// through jump hosts. What is known about the line is read from `memory`, and saved there.
    pub(crate) fn new(
        config: ClientConfig,
        prompter: &Prompter,
        hops: Arc<dyn Hops>,
        memory: LineMemory,
    ) -> Self {
        let server = format!("{}:{}", config.host_name, config.port);
        let prompter = prompter.apart();
        let policy = Arc::new(HostKeyPolicy::new(&config, &prompter));
        let hint = Arc::new(Hint::of(&config.name));
        Self {
            config,
            policy,
            credentials: Credentials::default(),
            prompter,
            windows: WindowEstimator::of(server, memory),
            hint,
            hops,
            commands: TaskTracker::new(),
            programs: Programs::default(),
            local_command_runs: OnceLock::new(),
        }
    }

    /// The server's name as the user gave it.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.config.port
    }

    /// Opens a session.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the connection is cut and nothing is left behind.
    pub(crate) async fn connect(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let order = self.credentials.order();
        match self.attempt(asking).await {
            Err(error) if order == KeyOrder::Ssh && self.credentials.order() != order => {
                debug!(%error, "retrying with the keys first that the server did not try");
                self.attempt(asking).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let begun = Instant::now();
        // A `KnownHostsCommand` may take a while, and so runs before the server waits for this client; it also
        // runs if the server then turns out to be unreachable.
        let preferred = self.preferred().await;
        let wired = self.wire(asking).await?;
        let command = wired.command.clone();
        // Boxed, since the state of a login is large and short-lived.
        let (session, login) = match Box::pin(self.handshake(wired, preferred, asking)).await {
            Ok(done) => done,
            Err(error) => return Err(self.with_command_end(error, command).await),
        };
        if let Some(command) = &self.config.session.local_command {
            let run = || task::spawn(shell::start_local_command(command));
            self.local_command_runs.get_or_init(run);
        }
        Ok(Connected { session, login, took: begun.elapsed() })
    }

    /// Cancelled when an attempt first exceeds the server's limit, since its `ProxyCommand` may be waiting for
    /// a person.
    pub(crate) fn held_up(&self) -> CancellationToken {
        self.programs.held_up.clone()
    }

    /// Waits until the `ProxyCommand`s of ended sessions have ended, too.
    pub(crate) async fn ended(&self) {
        self.commands.close();
        let _ = timeout(proxy_command::LONGEST, self.commands.wait()).await;
    }

    /// Connects to the server.
    async fn wire(&self, asking: Asking) -> Result<Wired, ConnectError> {
        let outflow = Arc::default();
        match &self.config.reach.way {
            Way::Direct => {
                let (socket, took) = self.reach().await?;
                let inflow = LIMITS_AHEAD.then(Arc::default);
                let socket = SshSocket::new(socket, UNACKNOWLEDGED, &outflow, inflow.clone());
                let stream = Box::new(socket.map_err(ConnectError::Socket)?);
                Ok(Wired { stream, connecting: Some(took), outflow, inflow, command: None })
            }
            Way::Jump(jump) => {
                let (next, limit) = (self.target()?, self.connect_limit());
                let Hop { stream, took } = self.hops.open(jump, &next, limit, asking).await?;
                Ok(Wired { stream, connecting: Some(took), outflow, inflow: None, command: None })
            }
            Way::Command(command) => {
                let started = ProxyCommand::start(command, &self.commands);
                let (command, end) = started.map_err(ConnectError::Shell)?;
                let (stream, command) = (Box::new(command), Some(end));
                Ok(Wired { stream, connecting: None, outflow, inflow: None, command })
            }
        }
    }

    /// A TCP connection, and how long it took.
    async fn reach(&self) -> Result<(TcpStream, Duration), ConnectError> {
        let limit = self.connect_limit();
        let mut left = self.config.reach.connection_attempts.max(1);
        loop {
            let error = match timeout(limit, reach::connect_tcp(&self.config)).await {
                Ok(Ok(reached)) => return Ok(reached),
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

    /// This server as a target for a jump host.
    fn target(&self) -> Result<Target, ConnectError> {
        let host = &self.config.host_name;
        let parsed = host.parse::<Host>().and_then(|h| Destination::new(h, self.config.port));
        parsed
            .map(Target::Host)
            .map_err(|why| ConnectError::Unnameable { host: error::name(host), why })
    }

    /// The server's address for messages, escaped.
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

    /// Explains the end of a connection by the end of its `ProxyCommand`.
    async fn with_command_end(&self, error: ConnectError, end: Option<CommandEnd>) -> ConnectError {
        let (Way::Command(command), Some(end)) = (&self.config.reach.way, end) else {
            return error;
        };
        if !error.is_end() {
            return error;
        }
        let Some((status, said)) = end.report().await else { return error };
        ConnectError::Command { command: error::name(command), status, said }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        let interval = self.config.session.server_alive_interval.unwrap_or(ALIVE_INTERVAL);
        Liveness { interval, silence: interval * self.config.session.server_alive_count_max.max(1) }
    }

    /// Measures the round trip to the server while polled.
    ///
    /// # Cancel safety
    ///
    /// If dropped, no measurement may have been made.
    pub(crate) async fn measure(&self, session: &Session) -> Infallible {
        if let Some(round_trip) = session.measure().await {
            self.windows.measured(round_trip);
            session.health().delay().note_server_best(self.windows.round_trip());
        }
        std::future::pending().await
    }

    /// Learns from what `session` carried in `span`.
    pub(crate) fn learn(&self, session: &Session, carried: Beat, span: Duration) {
        let rate = |bytes| per_second(bytes, span);
        self.windows.sent(rate(carried.carried - carried.received), session.base_beside_uploads());
        let delay = session.health().delay();
        if let Some(lately) = delay.attribute(self.windows.carried(rate(carried.carried))) {
            self.windows.measured_lately(lately);
        }
        delay.note_server_best(self.windows.round_trip());
        // russh refills a window when half of it is used, so that on average three quarters are in flight.
        let fitting = self.windows.fitting(session.window());
        let limit = (fitting < session.window()).then_some(fitting / 4 * 3);
        let window = if session.limit_inflow(limit) { fitting } else { session.window() };
        let (Some(best), true) = (delay.best(), carried.busiest > 0) else { return };
        self.windows.learn(Sample {
            received: rate(carried.received),
            busiest: rate(carried.busiest),
            round_trip: delay.expected(),
            best,
            window,
            upload: self.windows.upload(),
        });
    }

    /// Handles a possible change of the network.
    pub(crate) fn moved(&self) {
        self.windows.forget();
    }

    /// Whether the session should be replaced: it has been used long enough, or its window has turned out not
    /// to suit the line.
    pub(crate) fn would_replace(&self, session: &Session) -> bool {
        session.is_expired() || self.windows.is_unfit(session.window())
    }

    /// Updates the known hosts with the host keys that the server announces on `session`, while polled.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the record is either unchanged or complete.
    pub(crate) async fn follow_host_keys(&self, session: &Session) -> Infallible {
        let announced = session.announced_host_keys().await;
        self.policy.follow(announced, async |keys| session.prove_host_keys(keys).await).await;
        std::future::pending().await
    }

    pub(crate) fn can_ask(&self) -> bool {
        self.prompter.can_ask()
    }
}

/// The default limit of the TCP connection, without `ConnectTimeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long sent data may be unacknowledged (`TCP_USER_TIMEOUT`): as long as three pings.
const UNACKNOWLEDGED: Duration = Duration::from_secs(45);
/// The interval between `ConnectionAttempts`, as in `ssh`.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);
/// The default interval of pings on an idle session, without `ServerAliveInterval`.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
