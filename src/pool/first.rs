//! The outcome of the first attempt to connect to a server.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::ssh::connect::{ConnectError, Connected};
use crate::ssh::trust::auth::LoginKind;

/// Details of the first session, for the log.
#[derive(Clone, Debug)]
pub struct FirstSession {
    /// The method of the login.
    pub login: String,
    /// The type of the host key.
    pub host_key_type: String,
    /// The fingerprint of the host key, as `SHA256:…`.
    pub host_key_fingerprint: String,
    /// The key exchange.
    pub key_exchange: String,
    /// The cipher.
    pub cipher: String,
    /// From the first packet to the login.
    pub took: Duration,
    kind: LoginKind,
}

impl FirstSession {
    /// Whether the next login needs no person.
    pub fn is_unattended(&self) -> bool {
        self.kind == LoginKind::Unattended
    }

    /// The facts in one line.
    pub fn describe(&self, server: &str) -> String {
        format!(
            "{server} in {} ms (host key {}, {}, {})",
            self.took.as_millis(),
            self.host_key_type,
            self.key_exchange,
            self.cipher,
        )
    }
}

/// The level at which first sessions are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// As information.
    Info,
    /// For debugging: the terminal belongs to another program (`-W`).
    Debug,
}

impl Report {
    /// Logs a line about a first session.
    pub fn log(self, line: &str) {
        match self {
            Self::Info => info!("{line}"),
            Self::Debug => debug!("{line}"),
        }
    }
}

/// The first attempt to connect to a server, in progress.
#[derive(Debug)]
pub struct FirstAttempt {
    outcome: oneshot::Receiver<Result<FirstSession, ConnectError>>,
    held_up: CancellationToken,
}

/// Where the outcome is sent. The receiver may be gone.
pub(super) type OutcomeSender = oneshot::Sender<Result<FirstSession, ConnectError>>;

/// `held_up` is cancelled when the attempt may have to wait for a person.
pub(super) fn channel(held_up: CancellationToken) -> (OutcomeSender, FirstAttempt) {
    let (tell, outcome) = oneshot::channel();
    (tell, FirstAttempt { outcome, held_up })
}

impl FirstAttempt {
    /// Waits for the outcome.
    ///
    /// # Errors
    ///
    /// Why there is no session; [`ConnectError::Stopped`] if the pool was shut down.
    pub async fn outcome(self) -> Result<FirstSession, ConnectError> {
        self.outcome.await.unwrap_or(Err(ConnectError::Stopped))
    }

    /// Waits for the outcome unless a person elsewhere may have to act first; returns the attempt in that case.
    pub async fn outcome_unless_held_up(
        mut self,
    ) -> Result<Result<FirstSession, ConnectError>, Self> {
        tokio::select! {
            biased;
            outcome = &mut self.outcome => Ok(outcome.unwrap_or(Err(ConnectError::Stopped))),
            () = self.held_up.cancelled() => Err(self),
        }
    }
}

impl FirstSession {
    pub(super) fn of(connected: &Connected) -> Self {
        let facts = connected.session.facts();
        Self {
            login: connected.login.method.clone(),
            host_key_type: facts.host_key_type().to_owned(),
            host_key_fingerprint: facts.host_key_fingerprint,
            key_exchange: facts.key_exchange,
            cipher: facts.cipher,
            took: connected.took,
            kind: connected.login.kind,
        }
    }
}
