//! Handles what the server sends on its own: the host key, banners, failures to open a channel, and requests to
//! open one, of which only those for remote forwards are accepted.

use std::sync::Arc;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::compression::Compression;
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate, ssh_encoding};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio_util::sync::DropGuard;
use tracing::{debug, info};

use super::observed::Observed;
use super::open_failure::TargetFault;
use super::unsolicited::{TooMany, Unsolicited};
use crate::printable::{Lines, printable};
use crate::ssh::session::{Arrival, At, Refusal};
use crate::ssh::trust::host_key::{HostKeyError, HostKeyPolicy, same_type};

/// russh's handler for a session; it lives as long as the session's task.
pub(crate) struct SessionHandler {
    policy: Arc<HostKeyPolicy>,
    observed: Arc<Observed>,
    unsolicited: Unsolicited,
    /// The number of banner lines that may still be shown.
    banner_lines: usize,
    _closed: DropGuard,
}

/// Why the handler ends a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandlerError {
    #[error(transparent)]
    Russh(#[from] russh::Error),
    /// The host key is not trusted.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The server keeps opening channels that were not requested.
    #[error(transparent)]
    Unsolicited(#[from] TooMany),
    /// The host key is of another type than negotiated.
    #[error("the server showed a host key of type {shown}, but {negotiated} was agreed on")]
    KeyType { shown: String, negotiated: String },
    /// The signature algorithm differs from the negotiated one, and may be weaker.
    #[error("the server signed the key exchange with {signed}, but {negotiated} was agreed on")]
    SignatureType {
        /// The algorithm of the signature; escaped.
        signed: String,
        negotiated: String,
    },
}

impl HandlerError {
    /// Whether this is merely the end of the connection.
    pub(crate) fn is_end(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            // russh reports it in three ways, one of them as "early eof".
            Self::Russh(russh::Error::Disconnect | russh::Error::HUP) => true,
            Self::Russh(russh::Error::IO(error)) => matches!(
                error.kind(),
                UnexpectedEof | ConnectionAborted | ConnectionReset | BrokenPipe
            ),
            Self::Russh(_)
            | Self::HostKey(_)
            | Self::KeyType { .. }
            | Self::SignatureType { .. }
            | Self::Unsolicited(_) => false,
        }
    }

    /// Whether the server sent a text that is not UTF-8.
    fn is_unreadable(&self) -> bool {
        use ssh_encoding::Error::CharacterEncoding;
        matches!(self, Self::Russh(russh::Error::SshEncoding(CharacterEncoding)))
    }

    /// The error as a message for the terminal: a single line, except for a refused host key.
    pub(crate) fn message(&self) -> String {
        match self {
            end if end.is_end() => CLOSED.to_owned(),
            // The message may have several lines; text from the server in it is escaped and bounded already.
            Self::HostKey(error) => error.to_string(),
            text if text.is_unreadable() => NOT_UTF8.to_owned(),
            Self::Russh(
                russh::Error::PacketSize(_)
                | russh::Error::PacketAuth
                | russh::Error::DecryptionError,
            ) => DAMAGED.to_owned(),
            other => one_line(&other.to_string()),
        }
    }
}

impl SessionHandler {
    /// A handler that verifies host keys by `policy` and reports to `observed`.
    pub(crate) fn new(policy: Arc<HostKeyPolicy>, observed: Arc<Observed>) -> Self {
        let closed = observed.closed.clone().drop_guard();
        let (unsolicited, banner_lines) = (Unsolicited::default(), MAX_BANNER_LINES);
        Self { policy, observed, unsolicited, banner_lines, _closed: closed }
    }

    // Dropping russh's open handle also refuses the channel, as administratively prohibited.
    fn refuse(&mut self, kind: &'static str) -> Result<(), HandlerError> {
        Ok(self.unsolicited.count(kind)?)
    }

    /// Passes a channel to the listener that it belongs to, or refuses it.
    async fn forwarded(&mut self, arrival: Arrival) {
        match self.observed.remote_forwards.slot(&arrival.at) {
            Ok(take) => take(arrival),
            Err(why) => {
                let at = one_line(&arrival.at.to_string());
                debug!(at, %why, "refused a channel that the server wanted to open");
                arrival.refuse(why).await;
                if why == Refusal::Prohibited {
                    // The limit is not enforced: the server may still have a listener that was dropped here.
                    let _ = self.unsolicited.count("forwarded");
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
        debug!("the host key is accepted: {}", accepted.verdict);
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
        debug!(%fault, text = %one_line(text), "the server did not open a channel");
        let refuses = matches!(
            reason,
            ChannelOpenFailure::AdministrativelyProhibited | ChannelOpenFailure::UnknownChannelType
        );
        if refuses {
            let text = one_line(text);
            let said = if text.is_empty() { text } else { format!(" ('{text}')") };
            self.observed.hint.no_forwarding(&said);
        }
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
        self.observed.announce(keys);
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
            DisconnectReason::Error(error) => {
                if error.is_unreadable() {
                    self.observed.failures.end_unreadable();
                }
                error.message()
            }
        };
        self.observed.ended(end);
        Ok(())
    }
}

/// The cipher, the MAC unless the cipher is an AEAD, and the compression.
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

/// Text from the server in one line, escaped and bounded.
pub(crate) fn one_line(text: &str) -> String {
    printable(text, MAX_TEXT, Lines::One)
}

/// The connection ended without a message from the server.
const CLOSED: &str = "the server closed the connection";
/// russh ends a session on such a text, whatever it is for.
const NOT_UTF8: &str = "the server sent a text that is not UTF-8, which ends the session (its Banner, or \
                        its words for an error, in another encoding)";
/// A packet has an impossible length, or its integrity check fails.
pub(crate) const DAMAGED: &str = "what came from the server is damaged: something on the way changes bytes, or the \
                       server is at fault";
/// The number of banner lines shown per session.
const MAX_BANNER_LINES: usize = 100;
/// The maximum length of a text that is shown, in characters.
const MAX_TEXT: usize = 512;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_end_of_a_connection_has_a_plain_message() {
        let eof = russh::Error::IO(io::ErrorKind::UnexpectedEof.into());
        for error in [eof, russh::Error::Disconnect, russh::Error::HUP] {
            assert_eq!(HandlerError::from(error).message(), CLOSED);
        }
        let other = russh::Error::IO(io::Error::other("one\ntwo"));
        assert_eq!(HandlerError::from(other).message(), "one\\ntwo");
        let size = russh::Error::PacketSize(1 << 31);
        for damaged in [size, russh::Error::PacketAuth, russh::Error::DecryptionError] {
            assert_eq!(HandlerError::from(damaged).message(), DAMAGED);
        }
        let latin = ssh_encoding::Error::CharacterEncoding;
        assert_eq!(HandlerError::from(russh::Error::from(latin)).message(), NOT_UTF8);
    }
}
