//! From a byte stream to a session: the key exchange and the login, each within its time limit.

use std::sync::Arc;
use std::time::Duration;

use russh::Preferred;
use russh::client;
use tokio::io::BufReader;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::greeting::SkipToVersion;
use super::patience::Patience;
use super::russh_config::russh_config;
use super::transport::Transport;
use super::{Asking, ConnectError, Connector, Wired};
use crate::ssh::session::Session;
use crate::ssh::session::handler::{HandlerError, SessionHandler};
use crate::ssh::session::lifespan::Lifespan;
use crate::ssh::session::observed::Observed;
use crate::ssh::trust::auth::{self, AuthError, Authenticated};

impl Connector {
    /// Exchanges keys and logs in.
    pub(super) async fn handshake(
        &self,
        wired: Wired,
        preferred: Preferred,
        asking: Asking,
    ) -> Result<(Session, Authenticated), ConnectError> {
        let Wired { stream, connecting, outflow, inflow, command } = wired;
        let observed = Arc::new(Observed::of(&self.hint, outflow, inflow));
        let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
        let window = self.windows.window(&mut stream, connecting).await;
        let connecting_ms = connecting.map(|took| took.as_millis());
        debug!(window, connecting_ms, "the initial window of a channel");
        let cut = CancellationToken::new();
        // Cuts the transport on every early return, which ends russh's task.
        let guard = cut.clone().drop_guard();
        let handler = SessionHandler::new(Arc::clone(&self.policy), Arc::clone(&observed));
        let transport = Transport::new(stream, &cut, &observed.traffic, &observed.outflow);
        let transport = SkipToVersion::new(transport, &observed.traffic);
        let handshake = client::connect_stream(russh_config(window, preferred), transport, handler);
        let failed = |error: HandlerError| {
            let said = observed.facts().end.filter(|_| error.is_end());
            ConnectError::handshake(error, self.address(), &observed.traffic.head(), said)
        };
        let command = command.filter(|_| self.config.reach.connect_timeout.is_none());
        let (programs, address) = (&self.programs, self.address());
        let mut patience = Patience::new(programs, &observed.traffic, command, address, asking);
        let shaken = self.within("handshake", &observed, handshake, || patience.extends()).await?;
        let mut handle = shaken.map_err(failed)?;
        self.programs.reached();
        let binding = handle.agent_session_binding();
        observed
            .check_signature(binding.map_or(&[], |binding| binding.signature()))
            .map_err(failed)?;
        let prompter = match asking {
            Asking::Allowed => self.prompter.clone(),
            Asking::Never => self.prompter.silent(),
        };
        let login = auth::authenticate(&mut handle, &self.config, &self.credentials, &prompter);
        let login = match self.within("login", &observed, login, || false).await? {
            Ok(login) => login,
            Err(error) => return Err(with_last_words(error, &observed).await.into()),
        };
        // OpenSSH announces its signature algorithms since version 7.2.
        let hash = handle.best_supported_rsa_hash();
        let barrier = self.within("login", &observed, hash, || false).await?;
        let barrier = matches!(barrier, Ok(Some(_)));
        if observed.traffic.head().starts_with(TINYSSH) {
            self.hint.no_forwarding("");
        }
        let lifespan = Lifespan::of(&self.config.session.rekey_limit);
        let session = Session::new(handle, observed, guard.disarm(), barrier, lifespan, window);
        Ok((session, login))
    }

    /// Runs a stage of the handshake within its time limit, which is extended while `goes_on` returns true. The
    /// time in which a person is being asked does not count.
    async fn within<T>(
        &self,
        stage: &'static str,
        observed: &Observed,
        work: impl Future<Output = T>,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<T, ConnectError> {
        let mut work = std::pin::pin!(work);
        let limit =
            self.config.reach.connect_timeout.unwrap_or(HANDSHAKE_TIMEOUT).max(MIN_HANDSHAKE);
        let mut waited = limit;
        loop {
            let questions = self.prompter.questions();
            match timeout(limit, work.as_mut()).await {
                Ok(done) => return Ok(done),
                // After an answer, the server has the full limit again.
                Err(_) if self.prompter.is_waiting() || self.prompter.questions() != questions => {
                    debug!(stage, "waiting for an answer");
                }
                Err(_) if goes_on() => waited += limit,
                Err(_) => {
                    let (address, head) = (self.address(), observed.traffic.head());
                    return Err(ConnectError::late(stage, waited, address, &head));
                }
            }
        }
    }
}

/// Adds the server's reason to an error of a connection that ended during the login.
async fn with_last_words(error: AuthError, observed: &Observed) -> AuthError {
    if matches!(error, AuthError::Disconnected { .. }) {
        // The session's task ends shortly after the login fails.
        let _ = timeout(LAST_WORDS, observed.closed.cancelled()).await;
    }
    error.with_last_words(observed.facts().end)
}

/// The identification of a server without forwarding.
const TINYSSH: &[u8] = b"SSH-2.0-tinyssh";
/// The default limit of the key exchange, and of the login, without `ConnectTimeout`.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// The minimum limit: `ConnectTimeout` is meant for the TCP connection, and a server may be busy after it.
const MIN_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long to wait for the reason of the end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Saves system calls, since russh reads a packet's length and body separately. In bytes.
const READ_BUFFER: usize = 64 * 1024;
