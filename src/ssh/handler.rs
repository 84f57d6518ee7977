//! What the server tells us out of turn: its host key, its banner, failures of channels, and its
//! wish to open channels, which is refused.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::compression::Compression;
use russh::keys::ssh_encoding::Decode;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use super::host_key::{HostKeyError, HostKeyPolicy, Updates, same_type};
use super::open_failure::{OpenFailures, TargetFault};
use super::remote_listener::{Arrival, At, Refusal, Registry};
use super::transport::Traffic;
use super::unasked::{TooMany, Unasked};
use crate::printable::{Lines, printable};

/// What the session's task and the rest of the program share.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Failed opens, to be taken by their openers.
    pub(super) failures: OpenFailures,
    /// Cancelled when the session's task has ended, for whatever reason.
    pub(super) closed: CancellationToken,
    /// What came from the server, whatever it says.
    pub(super) traffic: Arc<Traffic>,
    /// Where the server listens for us.
    pub(super) registry: Registry,
    /// The host keys that the server says it has; empty until it says so.
    announced: watch::Sender<Vec<PublicKey>>,
    facts: Mutex<Facts>,
}

/// What was agreed on in the handshake, and how the session ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The host key's type.
    host_key_type: Option<Algorithm>,
    /// The host key's fingerprint.
    pub(super) host_key_fingerprint: String,
    /// The algorithm that was agreed on for the host key's signature.
    host_key_signature: Option<Algorithm>,
    /// Whether the host key was trusted in a way that lets the record follow what the server
    /// announces.
    updates: Option<Updates>,
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
    unasked: Unasked,
    /// How many lines of banners may still be shown.
    banner_lines: usize,
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
    /// The server opens channels that nobody asked for, again and again.
    #[error(transparent)]
    Unasked(#[from] TooMany),
    /// The server showed another type of key than was agreed on.
    #[error("the server showed a host key of type {shown}, but {negotiated} was agreed on")]
    KeyType {
        /// The type of the key that was shown.
        shown: String,
        /// The type that was agreed on.
        negotiated: String,
    },
    /// The server signed with another algorithm than was agreed on, which may be a weaker one.
    #[error("the server signed the key exchange with {signed}, but {negotiated} was agreed on")]
    SignatureType {
        /// The algorithm that it signed with; escaped.
        signed: String,
        /// The one that was agreed on.
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

    /// Holds the algorithm of the host key's signature against the one that was agreed on. The
    /// library verifies the signature by whatever algorithm it names.
    pub(super) fn check_signature(&self, mut signature: &[u8]) -> Result<(), HandlerError> {
        let negotiated = self.lock().host_key_signature.clone();
        let negotiated = negotiated.as_ref().map_or("none", Algorithm::as_str);
        let signed = String::decode(&mut signature).unwrap_or_default();
        if signed == negotiated {
            return Ok(());
        }
        let signed = one_line(&signed);
        Err(HandlerError::SignatureType { signed, negotiated: negotiated.to_owned() })
    }

    /// Completes with the host keys that the server announces, where they may be believed.
    pub(super) async fn announced_host_keys(&self) -> Vec<PublicKey> {
        let mut announced = self.announced.subscribe();
        // The sender is here as well, so there is always an answer.
        if let Ok(keys) = announced.wait_for(|keys| !keys.is_empty()).await {
            if self.lock().updates == Some(Updates::Followed) {
                return keys.clone();
            }
            debug!("the announced host keys do not count: this one was not trusted by the record");
        }
        std::future::pending().await
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
    /// Whether it is the end of the connection, and nothing else.
    pub(super) fn is_end(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            // The library has three ways to say so, and calls one of them "early eof".
            Self::Library(russh::Error::Disconnect | russh::Error::HUP) => true,
            Self::Library(russh::Error::IO(error)) => matches!(
                error.kind(),
                UnexpectedEof | ConnectionAborted | ConnectionReset | BrokenPipe
            ),
            Self::Library(_)
            | Self::HostKey(_)
            | Self::KeyType { .. }
            | Self::SignatureType { .. }
            | Self::Unasked(_) => false,
        }
    }

    /// What happened, fit for a terminal: one line, but for a host key that is refused.
    pub(super) fn in_words(&self) -> String {
        match self {
            end if end.is_end() => CLOSED.to_owned(),
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
        let (unasked, banner_lines) = (Unasked::default(), MAX_BANNER_LINES);
        Self { policy, observed, unasked, banner_lines, _closed: closed }
    }

    // Dropping the library's open handle, too, refuses as administratively prohibited.
    fn refuse(&mut self, kind: &'static str) -> Result<(), HandlerError> {
        Ok(self.unasked.count(kind)?)
    }

    /// Hands a channel to the listener that it belongs to, or refuses it.
    async fn forwarded(&mut self, arrival: Arrival) {
        match self.observed.registry.seat(&arrival.at) {
            Ok(seat) => seat.take(arrival),
            Err(why) => {
                let at = one_line(&arrival.at.to_string());
                debug!(at, ?why, "refused a channel that the server wanted to open");
                arrival.refuse(why).await;
                if why == Refusal::Prohibited {
                    // However many: a listener that we have let go may still be one to the server.
                    let _ = self.unasked.count("forwarded");
                }
            }
        }
    }
}

impl Handler for SessionHandler {
    type Error = HandlerError;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), HandlerError> {
        for line in banner.lines().take(self.banner_lines) {
            self.banner_lines -= 1;
            info!("{}", one_line(line));
        }
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, HandlerError> {
        let accepted = self.policy.verify(shown).await?;
        debug!(?accepted, "the host key is accepted");
        let key = shown.public_key();
        let mut facts = self.observed.lock();
        facts.host_key_type = Some(key.algorithm());
        facts.host_key_fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        facts.updates = Some(accepted.updates);
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
            && !same_type(shown, &names.key)
        {
            return Err(HandlerError::KeyType {
                shown: shown.as_str().to_owned(),
                negotiated: names.key.as_str().to_owned(),
            });
        }
        facts.host_key_signature = Some(names.key.clone());
        names.kex.as_ref().clone_into(&mut facts.key_exchange);
        facts.cipher = protection(names);
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
        self.refuse("auth-agent")
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        self.refuse("session")
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
        self.refuse("direct-tcpip")
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        self.refuse("direct-streamlocal")
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        self.refuse("x11")
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        keys: Vec<PublicKey>,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        // Only the first announcement counts, and only what could be true.
        if keys.len() <= MAX_HOST_KEYS {
            self.observed.announced.send_if_modified(|announced| {
                let first = announced.is_empty();
                if first {
                    *announced = keys;
                }
                first
            });
        }
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

/// The cipher, the MAC where it is another than the cipher's own, and the compression.
fn protection(names: &russh::Names) -> String {
    let mut text = names.cipher.as_ref().to_owned();
    if !text.contains("gcm") && !text.contains("poly1305") {
        text = format!("{text} with {}", names.server_mac.as_ref());
    }
    match names.server_compression {
        Compression::None => text,
        Compression::Zlib | Compression::ZlibOpenSSH => format!("{text}, compressed"),
    }
}

/// The server's words on one line, bounded.
fn one_line(text: &str) -> String {
    printable(text, MAX_TEXT, Lines::One)
}

/// What it means when nothing more comes from the server.
const CLOSED: &str = "the server closed the connection";
/// A server that says it has more host keys is not believed.
const MAX_HOST_KEYS: usize = 64;
/// More lines of banners than this are not shown, in a whole session.
const MAX_BANNER_LINES: usize = 100;
/// More of a text than this is not shown, in characters.
const MAX_TEXT: usize = 512;

#[cfg(test)]
mod tests {
    use std::io;

    use russh::keys::ssh_encoding::Encode;

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
    fn a_signature_by_another_algorithm_than_agreed_on_is_refused() {
        let observed = Observed::default();
        let signature = |name: &str| {
            let mut out = Vec::new();
            name.encode(&mut out).expect("memory");
            out
        };
        observed.lock().host_key_signature = Some(Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        observed.check_signature(&signature("rsa-sha2-512")).expect("as agreed on");
        for other in ["rsa-sha2-256", "ssh-rsa", "ssh-ed25519", ""] {
            let told = observed.check_signature(&signature(other));
            assert!(matches!(told, Err(HandlerError::SignatureType { .. })), "{other}: {told:?}");
        }
        assert!(observed.check_signature(&[0, 0]).is_err());
    }

    #[test]
    fn the_first_reason_for_an_end_stays() {
        let observed = Observed::default();
        observed.ended("given up".into());
        observed.ended("the transport was cut".into());
        assert_eq!(observed.facts().end.as_deref(), Some("given up"));
    }
}
