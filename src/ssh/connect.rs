//! From a server's name to a session: reach it, shake hands, log in, all within a deadline.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{self, Handle};
use russh::{Limits, Preferred, cipher, compression, kex};
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::auth::{self, AuthError, Authenticated, Credentials};
use super::client_config::ClientConfig;
use super::distance::Distance;
use super::handler::{HandlerError, Observed, SessionHandler};
use super::host_key::HostKeyPolicy;
use super::monitor::Liveness;
use super::pool::Offence;
use super::prompt::Prompter;
use super::reach::{self, ReachError};
use super::session::{Barrier, Session};
use super::transport::{SshSocket, Transport};

/// Everything that is needed to open sessions to one server, again and again.
#[derive(Debug)]
pub struct Connector {
    config: ClientConfig,
    policy: Arc<HostKeyPolicy>,
    credentials: Credentials,
    prompter: Prompter,
    distance: Distance,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection to the server.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// Nothing came back from the server's address within the limit.
    #[error("no answer within {limit:?}")]
    NoAnswer {
        /// The limit.
        limit: Duration,
    },
    /// The handshake failed: no SSH server, no common algorithm.
    #[error("{0}")]
    Handshake(String),
    /// The host key is not to be trusted.
    #[error("{0}")]
    HostKey(String),
    /// Version, key exchange or login took longer than the limit.
    #[error("the server did not finish the {stage} within {limit:?}")]
    TimedOut {
        /// What it was at.
        stage: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The server does not accept us.
    #[error(transparent)]
    Login(#[from] AuthError),
    /// Nobody wants a session any more.
    #[error("stopped while connecting")]
    Stopped,
}

impl ConnectError {
    /// Whether it takes a person, and there was none, or none who would answer.
    pub(super) fn lacked_a_person(&self) -> bool {
        matches!(self, Self::Login(AuthError::PersonNeeded { .. } | AuthError::GivenUp(_)))
    }

    /// How the server may take another attempt.
    pub(super) fn offence(&self) -> Offence {
        match self {
            Self::Reach(_) | Self::NoAnswer { .. } | Self::Stopped => Offence::None,
            Self::Handshake(_) | Self::TimedOut { .. } => Offence::TurnedAway,
            Self::HostKey(_) | Self::Login(_) => Offence::Refused,
        }
    }
}

/// Whether a login may ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Somebody wants the session now.
    Allowed,
    /// It is not worth a question.
    Never,
}

/// A new session, and what it took.
pub(super) struct Connected {
    pub(super) session: Session,
    pub(super) login: Authenticated,
    pub(super) took: Duration,
}

impl Connector {
    /// Prepares to connect as `config` says; `prompter` asks where a person is needed.
    pub fn new(config: ClientConfig, prompter: Prompter) -> Self {
        let policy = Arc::new(HostKeyPolicy::new(&config, &prompter));
        Self {
            config,
            policy,
            credentials: Credentials::default(),
            prompter,
            distance: Distance::default(),
        }
    }

    /// The server's name, as the user gave it.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Opens a session.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the connection is cut and nothing of it stays behind.
    pub(super) async fn connect(&self, asking: Asking) -> Result<Connected, ConnectError> {
        let begun = Instant::now();
        let config = &self.config;
        let limit = config.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let reached = reach::connect_tcp(&config.host_name, config.port, config.address_family);
        let socket = tokio::time::timeout(limit, reached)
            .await
            .map_err(|_| ConnectError::NoAnswer { limit })??;
        let window = self.distance.window(&socket, begun.elapsed()).await;
        let socket = SshSocket::new(socket, UNACKNOWLEDGED)
            .map_err(|error| ConnectError::Handshake(error.to_string()))?;

        let cut = CancellationToken::new();
        // Cuts the transport on every early return, so that the library's task ends.
        let guard = cut.clone().drop_guard();
        let observed = Arc::new(Observed::default());
        let handler = SessionHandler::new(Arc::clone(&self.policy), Arc::clone(&observed));
        let socket = BufReader::with_capacity(READ_BUFFER, socket);
        let transport = Transport::new(socket, &cut, Arc::clone(&observed.received));
        let handshake =
            client::connect_stream(self.library_config(window).await, transport, handler);
        let mut handle =
            self.within("handshake", handshake).await?.map_err(|error| handler_error(&error))?;
        let binding = handle.agent_session_binding();
        observed
            .check_signature(binding.map_or(&[], |binding| binding.signature()))
            .map_err(|error| handler_error(&error))?;
        let prompter = match asking {
            Asking::Allowed => self.prompter.clone(),
            Asking::Never => self.prompter.silent(),
        };
        let login = auth::authenticate(&mut handle, config, &self.credentials, &prompter);
        let login = match self.within("login", login).await? {
            Ok(login) => login,
            Err(error) => return Err(with_last_words(error, &observed).await.into()),
        };
        let barrier = self.within("login", barrier(&handle)).await?;
        let session = Session::new(handle, observed, guard.disarm(), barrier);
        Ok(Connected { session, login, took: begun.elapsed() })
    }

    /// Runs a stage of the handshake within its limit; the time in which a person is asked does not
    /// count.
    async fn within<T>(
        &self,
        stage: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        let mut work = std::pin::pin!(work);
        let limit = self.config.connect_timeout.unwrap_or(HANDSHAKE_TIMEOUT).max(MIN_HANDSHAKE);
        loop {
            match tokio::time::timeout(limit, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) if self.prompter.is_waiting() => debug!(stage, "waiting for an answer"),
                Err(_) => return Err(ConnectError::TimedOut { stage, limit }),
            }
        }
    }

    /// When a session to this server counts as dead.
    pub(super) fn liveness(&self) -> Liveness {
        let interval = self.config.server_alive_interval.unwrap_or(ALIVE_INTERVAL);
        Liveness { interval, silence: interval * self.config.server_alive_count_max.max(1) }
    }

    /// Keeps the record up with the host keys that the server announces on `session`, for as long
    /// as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the record is as before or as it should be.
    pub(super) async fn follow_host_keys(&self, session: &Session) -> Infallible {
        let announced = session.announced_host_keys().await;
        self.policy.follow(announced, async |keys| session.prove_host_keys(keys).await).await;
        std::future::pending().await
    }

    /// Whether a person can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.prompter.can_ask()
    }

    async fn library_config(&self, window_size: u32) -> Arc<client::Config> {
        Arc::new(client::Config {
            client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-sockeye_",
                env!("CARGO_PKG_VERSION")
            ))),
            // A re-keying that we start can kill a busy session; those that the server starts are
            // safe. Sessions are retired instead.
            limits: Limits {
                rekey_write_limit: usize::MAX,
                rekey_read_limit: usize::MAX,
                rekey_time_limit: Duration::from_secs(365 * 24 * 3600),
            },
            window_size,
            maximum_packet_size: MAX_PACKET,
            channel_buffer_size: CHANNEL_QUEUE,
            preferred: self.preferred().await,
            // The pool's monitor pings, since it wants to know how long the answer takes.
            keepalive_interval: None,
            ..client::Config::default()
        })
    }

    async fn preferred(&self) -> Preferred {
        let mut preferred = Preferred::DEFAULT;
        let offer = self.policy.offer().await;
        preferred.key = Cow::Owned(offer.keys);
        preferred.host_key_certificates = Cow::Owned(offer.certificates);
        preferred.cipher = Cow::Owned(ciphers());
        preferred.compression = Cow::Borrowed(&[compression::NONE]);
        // The groups above 4096 bits would hold up the runtime's thread for long.
        let slow = [kex::DH_G17_SHA512, kex::DH_G18_SHA512, kex::DH_GEX_SHA256];
        preferred.kex.to_mut().retain(|name| !slow.contains(name));
        preferred
    }
}

/// The fastest first: AES-GCM where the processor has instructions for it.
fn ciphers() -> Vec<cipher::Name> {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    let aes = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    let aes = false;
    let gcm = [cipher::AES_128_GCM, cipher::AES_256_GCM];
    let chacha = [cipher::CHACHA20_POLY1305];
    let ctr = [cipher::AES_128_CTR, cipher::AES_192_CTR, cipher::AES_256_CTR];
    if aes { [&gcm[..], &chacha, &ctr].concat() } else { [&chacha[..], &gcm, &ctr].concat() }
}

/// Whether the server told its signature algorithms, which OpenSSH does since 7.2.
async fn barrier(handle: &Handle<SessionHandler>) -> Barrier {
    match handle.best_supported_rsa_hash().await {
        Ok(Some(_)) => Barrier::Available,
        Ok(None) | Err(_) => Barrier::Missing,
    }
}

/// Adds the server's own word to the end of a connection in mid-login.
async fn with_last_words(error: AuthError, observed: &Observed) -> AuthError {
    if matches!(error, AuthError::Disconnected { .. }) {
        // The session's task ends right after the login has heard of it.
        let _ = tokio::time::timeout(LAST_WORDS, observed.closed.cancelled()).await;
    }
    error.with_last_words(observed.facts().end)
}

fn handler_error(error: &HandlerError) -> ConnectError {
    let text = error.in_words();
    match error {
        HandlerError::HostKey(_) => ConnectError::HostKey(text),
        HandlerError::Library(_)
        | HandlerError::KeyType { .. }
        | HandlerError::SignatureType { .. }
        | HandlerError::Unasked(_) => ConnectError::Handshake(text),
    }
}

/// How long the TCP connection may take, where `ConnectTimeout` does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the key exchange, and then the login, may take, where `ConnectTimeout` does not say.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// `ConnectTimeout` covers the TCP connection of `ssh`; a busy server deserves this much after it.
const MIN_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`): as long as three lost pings.
const UNACKNOWLEDGED: Duration = Duration::from_secs(45);
/// How long the end of a session may take to be known.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often an idle session is pinged, where `ServerAliveInterval` does not say.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// The largest packet that the library can take, in bytes.
const MAX_PACKET: u32 = 65535;
/// How many messages a channel's queue holds before the session waits for its reader.
const CHANNEL_QUEUE: usize = 1024;
/// Saves system calls: the library reads a packet's head and body on their own. In bytes.
const READ_BUFFER: usize = 64 * 1024;
