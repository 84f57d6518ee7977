//! What the server tells us out of turn: its host key, its banner, failures of channels, and its
//! wish to open channels, which is refused.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use super::host_key::{HostKeyError, HostKeyPolicy};
use super::open_failure::{OpenFailures, TargetFault};
use super::remote_listener::{Arrival, At, Registry};
use crate::printable::{Lines, printable};

/// What the session's task and the rest of the program share.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Failed opens, to be taken by their openers.
    pub(super) failures: OpenFailures,
    /// Cancelled when the session's task has ended, for whatever reason.
    pub(super) closed: CancellationToken,
    /// Bytes that came from the server, whatever they say.
    pub(super) received: Arc<AtomicU64>,
    /// Where the server listens for us.
    pub(super) registry: Registry,
    facts: Mutex<Facts>,
}

/// What was agreed on in the handshake, and how the session ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The host key's type.
    host_key_type: Option<Algorithm>,
    /// The host key's fingerprint.
    pub(super) host_key_fingerprint: String,
    /// The key exchange.
    pub(super) key_exchange: String,
    /// The cipher from the server to us.
    pub(super) cipher: String,
    /// Why the session ended, in printable words.
    pub(super) end: Option<String>,
}

/// The library's handler for one session. It lives as long as the session's task.
pub(super) struct SessionHandler {
    policy: Arc<HostKeyPolicy>,
    observed: Arc<Observed>,
    _closed: DropGuard,
}

/// Why the handler ends a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandlerError {
    /// The library's own error.
    #[error(transparent)]
    Library(#[from] russh::Error),
    /// The host key is not to be trusted.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The server showed another type of key than was agreed on.
    #[error("the server showed a host key of type {shown}, but {negotiated} was agreed on")]
    KeyType {
        /// The type of the key that was shown.
        shown: String,
        /// The type that was agreed on.
        negotiated: String,
    },
}

impl Observed {
    /// A copy of what is known.
    pub(super) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Notes why the session ended. The first reason is the true one.
    pub(super) fn ended(&self, why: String) {
        self.lock().end.get_or_insert(why);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    /// The host key's type, as `ssh-ed25519`.
    pub(super) fn host_key_type(&self) -> &str {
        self.host_key_type.as_ref().map_or("none", Algorithm::as_str)
    }
}

impl HandlerError {
    /// What happened, fit for a terminal: one line, but for a host key that is refused.
    pub(super) fn in_words(&self) -> String {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            // The library has three ways to say so, and calls one of them "early eof".
            Self::Library(russh::Error::Disconnect | russh::Error::HUP) => CLOSED.to_owned(),
            Self::Library(russh::Error::IO(error)) => match error.kind() {
                UnexpectedEof | ConnectionAborted | ConnectionReset => CLOSED.to_owned(),
                _ => one_line(&error.to_string()),
            },
            // Written for the user, in lines; what is not ours in it is escaped and bounded.
            Self::HostKey(error) => error.to_string(),
            other => one_line(&other.to_string()),
        }
    }
}

impl SessionHandler {
    /// A handler that checks host keys by `policy` and reports to `observed`.
    pub(super) fn new(policy: Arc<HostKeyPolicy>, observed: Arc<Observed>) -> Self {
        let closed = observed.closed.clone().drop_guard();
        Self { policy, observed, _closed: closed }
    }

    // Dropping the library's open handle, too, refuses as administratively prohibited.
    fn refuse(kind: &'static str) {
        debug!(kind, "refused a channel that the server wanted to open");
    }

    /// Hands a channel to the listener that it belongs to, or refuses it.
    async fn forwarded(&self, arrival: Arrival) {
        match self.observed.registry.seat(&arrival.at) {
            Ok(seat) => seat.take(arrival),
            Err(why) => {
                let at = one_line(&arrival.at.to_string());
                debug!(at, ?why, "refused a channel that the server wanted to open");
                arrival.refuse(why).await;
            }
        }
    }
}

impl Handler for SessionHandler {
    type Error = HandlerError;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), HandlerError> {
        for line in banner.lines().take(MAX_BANNER_LINES) {
            info!("{}", one_line(line));
        }
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, HandlerError> {
        // Host certificates are never offered to the server, so it shows a plain key.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let verdict = self.policy.verify(key).await?;
        debug!(?verdict, "the host key is accepted");
        let mut facts = self.observed.lock();
        facts.host_key_type = Some(key.algorithm());
        facts.host_key_fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &russh::Names,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let mut facts = self.observed.lock();
        if let Some(shown) = &facts.host_key_type
            && !same_key_type(shown, &names.key)
        {
            return Err(HandlerError::KeyType {
                shown: shown.as_str().to_owned(),
                negotiated: names.key.as_str().to_owned(),
            });
        }
        names.kex.as_ref().clone_into(&mut facts.key_exchange);
        names.cipher.as_ref().clone_into(&mut facts.cipher);
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        reason: ChannelOpenFailure,
        text: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let fault = TargetFault::from_code(&reason, TargetFault::from_text(text));
        debug!(?fault, text = %one_line(text), "the server did not open a channel");
        self.observed.failures.add(fault);
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        origin: &str,
        origin_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let at = At::Tcp { address: address.to_owned(), port };
        let origin = Some((origin.to_owned(), origin_port));
        self.forwarded(Arrival { at, origin, channel, reply }).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let at = At::Socket(path.to_owned());
        self.forwarded(Arrival { at, origin: None, channel, reply }).await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        Self::refuse("auth-agent");
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        Self::refuse("session");
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        Self::refuse("direct-tcpip");
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        Self::refuse("direct-streamlocal");
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        Self::refuse("x11");
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<HandlerError>,
    ) -> Result<(), HandlerError> {
        let end = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server disconnected: {}", one_line(&info.message))
            }
            DisconnectReason::Error(error) => error.in_words(),
        };
        self.observed.ended(end);
        Ok(())
    }
}

/// The server's words on one line, bounded.
fn one_line(text: &str) -> String {
    printable(text, MAX_TEXT, Lines::One)
}

/// RSA keys are one type, whatever hash is signed with.
fn same_key_type(a: &Algorithm, b: &Algorithm) -> bool {
    matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || a == b
}

/// What it means when nothing more comes from the server.
const CLOSED: &str = "the server closed the connection";
/// More lines of a banner than this are not shown.
const MAX_BANNER_LINES: usize = 100;
/// More of a text than this is not shown, in characters.
const MAX_TEXT: usize = 512;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_in_plain_words() {
        let eof = russh::Error::IO(io::ErrorKind::UnexpectedEof.into());
        for error in [eof, russh::Error::Disconnect, russh::Error::HUP] {
            assert_eq!(HandlerError::from(error).in_words(), CLOSED);
        }
        let other = russh::Error::IO(io::Error::other("one\ntwo"));
        assert_eq!(HandlerError::from(other).in_words(), "one\\ntwo");
    }

    #[test]
    fn the_first_reason_for_an_end_stays() {
        let observed = Observed::default();
        observed.ended("given up".into());
        observed.ended("the transport was cut".into());
        assert_eq!(observed.facts().end.as_deref(), Some("given up"));
    }
}
