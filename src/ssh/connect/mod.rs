//! From a server's name to a session: reach it, shake hands, log in, all within a deadline.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
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
use super::session::observed::Told;
use super::session::outflow::Outflow;
use super::trust::auth::{Authenticated, Credentials, KeyOrder};
use super::trust::host_key::HostKeyPolicy;
use crate::destination::{Destination, Host};
use crate::lock::lock;
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

/// Everything that is needed to open sessions to one server, again and again.
#[derive(Debug)]
pub(crate) struct Connector {
    config: ClientConfig,
    policy: Arc<HostKeyPolicy>,
    credentials: Credentials,
    prompter: Prompter,
    windows: WindowEstimator,
    told: Arc<Told>,
    hops: Arc<dyn Hops>,
    /// What is still to be run once the server is logged in to.
    local_command: Mutex<Option<String>>,
    /// The task that waits for its end, beside the sessions. Without it the command goes on.
    local_command_runs: OnceLock<AbortOnDropHandle<()>>,
    /// The programs that carry the bytes (`ProxyCommand`), each until it is over.
    commands: TaskTracker,
    programs: Programs,
}

/// Whether a login may ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Somebody wants the session now.
    Allowed,
    /// It is not worth a question.
    Never,
}

/// How far an attempt to connect got, and so how much another one would bother the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The server could not be reached: nobody was bothered.
    Unreachable,
    /// The server turned us away before it knew who we are: it may be full.
    TurnedAway,
    /// The server did not accept our login, or we its host key: servers keep count of those who ask
    /// again, and people of who asks them.
    Refused,
}

/// When a session counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// How often an idle server is asked (`ServerAliveInterval`).
    pub(crate) interval: Duration,
    /// How long it may be silent while it is being asked.
    pub(crate) silence: Duration,
}

/// A new session, and what it took.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) login: Authenticated,
    pub(crate) took: Duration,
}

/// What carries the bytes to a server, before anything is said.
struct Wired {
    stream: Box<dyn ByteStream>,
    /// How long connecting took, without what came before it; none where a program does it.
    connecting: Option<Duration>,
    /// Gets what the line is found to carry.
    outflow: Arc<Outflow>,
    /// Tells how much may be on its way from the server, where that can be bounded.
    inflow: Option<Arc<Inflow>>,
    /// The program that carries them, where one does.
    command: Option<CommandEnd>,
}

impl Connector {
    /// Prepares to connect as `config` says; `prompter` asks where a person is needed, and `hops` lead
    /// through the servers on the way.
    /// What `memory` knows of the line to it is used, and what is learnt of it is kept there.
    pub(crate) fn new(
        config: ClientConfig,
        prompter: &Prompter,
        hops: Arc<dyn Hops>,
        memory: LineMemory,
    ) -> Self {
        let server = format!("{}:{}", config.host_name, config.port);
        let prompter = prompter.apart();
        let policy = Arc::new(HostKeyPolicy::new(&config, &prompter));
        let local_command = Mutex::new(config.session.local_command.clone());
        let told = Arc::new(Told::of(&config.name));
        Self {
            config,
            policy,
            credentials: Credentials::default(),
            prompter,
            windows: WindowEstimator::of(server, memory),
            told,
            hops,
            local_command,
            commands: TaskTracker::new(),
            programs: Programs::default(),
            local_command_runs: OnceLock::new(),
        }
    }

    /// The server's name, as the user gave it.
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
    /// Dropped in mid-way, the connection is cut and nothing of it stays behind.
    pub(crate) async fn connect(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let order = self.credentials.order();
        match self.attempt(asking).await {
            Err(error) if order == KeyOrder::Ssh && self.credentials.order() != order => {
                debug!(%error, "trying again, with the keys first that the server did not listen to");
                self.attempt(asking).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let begun = Instant::now();
        // Before the server waits for us: a `KnownHostsCommand` takes its time. So it runs where the server
        // cannot be reached, too.
        let preferred = self.preferred().await;
        let wired = self.wire(asking).await?;
        let command = wired.command.clone();
        // The state of a login is large and short-lived.
        let (session, login) = match Box::pin(self.handshake(wired, preferred, asking)).await {
            Ok(done) => done,
            Err(error) => return Err(self.with_command_end(error, command).await),
        };
        if let Some(command) = lock(&self.local_command).take() {
            let end = shell::start_local_command(&command);
            self.local_command_runs.get_or_init(|| task::spawn(end));
        }
        Ok(Connected { session, login, took: begun.elapsed() })
    }

    /// Cancelled when an attempt first takes longer than a server may, since a program that leads to it may wait
    /// for a person.
    pub(crate) fn held_up(&self) -> CancellationToken {
        self.programs.held_up()
    }

    /// Waits until the programs are over that have carried sessions, once those have ended.
    pub(crate) async fn ended(&self) {
        self.commands.close();
        let _ = timeout(proxy_command::LONGEST, self.commands.wait()).await;
    }

    /// What carries the bytes to the server.
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

    /// How a `ProxyCommand` ended explains that nothing more came.
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

    /// Finds out how far away the server is, for as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, nothing is known of it.
    pub(crate) async fn measure(&self, session: &Session) -> Infallible {
        if let Some(round_trip) = session.measure().await {
            self.windows.measured(round_trip);
            session.health().delay().note_server_best(self.windows.round_trip());
        }
        std::future::pending().await
    }

    /// Takes note of what `session` carried in a `span`.
    pub(crate) fn learn(&self, session: &Session, carried: Beat, span: Duration) {
        let rate = |bytes: u64| {
            let bytes = u128::from(bytes) * 1_000_000 / span.as_micros();
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        self.windows.sent(rate(carried.carried - carried.received), session.base_beside_uploads());
        let delay = session.health().delay();
        delay.note_server_best(self.windows.round_trip());
        // russh gives back half a window at a time, so that three quarters of it are on their way.
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

    /// The network may be another one.
    pub(crate) fn moved(&self) {
        self.windows.forget();
    }

    /// Whether a new session would be better than this one: it has served long enough, or its window
    /// has turned out not to suit the line.
    pub(crate) fn would_replace(&self, session: &Session) -> bool {
        session.is_expired() || self.windows.is_unfit(session.window())
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
