//! What the server sends unasked: its host key, its banner, failures of channels, and the channels that
//! it opens, of which only those of remote forwards are accepted.

use std::sync::Arc;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::compression::Compression;
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate, ssh_encoding};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio_util::sync::DropGuard;
use tracing::{debug, info};

use super::observed::Observed;
use super::open_failure::TargetFault;
use super::unasked::{TooMany, Unasked};
use crate::printable::{Lines, printable};
use crate::ssh::session::{Arrival, At, Refusal};
use crate::ssh::trust::host_key::{HostKeyError, HostKeyPolicy, same_type};

/// russh's handler for one session. It lives as long as the session's task.
pub(crate) struct SessionHandler {
    policy: Arc<HostKeyPolicy>,
    observed: Arc<Observed>,
    unasked: Unasked,
    /// How many lines of banners may still be shown.
    banner_lines: usize,
    _closed: DropGuard,
}

/// Why the handler ends a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandlerError {
    #[error(transparent)]
    Russh(#[from] russh::Error),
    /// The host key is not to be trusted.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The server opens channels that nobody asked for, again and again.
    #[error(transparent)]
    Unasked(#[from] TooMany),
    /// The server showed another type of key than was agreed on.
    #[error("the server showed a host key of type {shown}, but {negotiated} was agreed on")]
    KeyType { shown: String, negotiated: String },
    /// The server signed with another algorithm than was agreed on, which may be a weaker one.
    #[error("the server signed the key exchange with {signed}, but {negotiated} was agreed on")]
    SignatureType {
        /// The algorithm that it signed with; escaped.
        signed: String,
        negotiated: String,
    },
}

impl HandlerError {
    /// Whether it is the end of the connection, and nothing else.
    pub(crate) fn is_end(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            // russh has three ways to say so, and calls one of them "early eof".
            Self::Russh(russh::Error::Disconnect | russh::Error::HUP) => true,
            Self::Russh(russh::Error::IO(error)) => matches!(
                error.kind(),
                UnexpectedEof | ConnectionAborted | ConnectionReset | BrokenPipe
            ),
            Self::Russh(_)
            | Self::HostKey(_)
            | Self::KeyType { .. }
            | Self::SignatureType { .. }
            | Self::Unasked(_) => false,
        }
    }

    /// Whether it is a text of the server's that is not UTF-8.
    fn is_unreadable(&self) -> bool {
        use ssh_encoding::Error::CharacterEncoding;
        matches!(self, Self::Russh(russh::Error::SshEncoding(CharacterEncoding)))
    }

    /// What happened, fit for a terminal: one line, but for a host key that is refused.
    pub(crate) fn in_words(&self) -> String {
        match self {
            end if end.is_end() => CLOSED.to_owned(),
            // Written for the user, in lines; what is not ours in it is escaped and bounded.
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
    /// A handler that checks host keys by `policy` and reports to `observed`.
    pub(crate) fn new(policy: Arc<HostKeyPolicy>, observed: Arc<Observed>) -> Self {
        let closed = observed.closed.clone().drop_guard();
        let (unasked, banner_lines) = (Unasked::default(), MAX_BANNER_LINES);
        Self { policy, observed, unasked, banner_lines, _closed: closed }
    }

    // Dropping russh's open handle, too, refuses as administratively prohibited.
    fn refuse(&mut self, kind: &'static str) -> Result<(), HandlerError> {
        Ok(self.unasked.count(kind)?)
    }

    /// Hands a channel to the listener that it belongs to, or refuses it.
    async fn forwarded(&mut self, arrival: Arrival) {
        match self.observed.remote_forwards.slot(&arrival.at) {
            Ok(take) => take(arrival),
            Err(why) => {
                let at = one_line(&arrival.at.to_string());
                debug!(at, %why, "refused a channel that the server wanted to open");
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
            self.observed.told().no_forwarding(&said);
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
                error.in_words()
            }
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
pub(crate) fn one_line(text: &str) -> String {
    printable(text, MAX_TEXT, Lines::One)
}

/// What it means when nothing more comes from the server.
const CLOSED: &str = "the server closed the connection";
/// russh ends a session on such a text, whatever the text is for.
const NOT_UTF8: &str = "the server sent a text that is not UTF-8, which ends the session (its Banner, or \
                        its words for an error, in another encoding)";
/// A length that cannot be, or a check that fails.
pub(crate) const DAMAGED: &str = "what came from the server is damaged: something on the way changes bytes, or the \
                       server is at fault";
/// More lines of banners than this are not shown, in a whole session.
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
        let size = russh::Error::PacketSize(1 << 31);
        for damaged in [size, russh::Error::PacketAuth, russh::Error::DecryptionError] {
            assert_eq!(HandlerError::from(damaged).in_words(), DAMAGED);
        }
        let latin = ssh_encoding::Error::CharacterEncoding;
        assert_eq!(HandlerError::from(russh::Error::from(latin)).in_words(), NOT_UTF8);
    }
}
