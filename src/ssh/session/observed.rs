//! The state that a session shares with russh's handler: what was negotiated, and what has happened since.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use russh::keys::ssh_encoding::Decode;
use russh::keys::{Algorithm, PublicKey};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::handler::{HandlerError, one_line};
use super::inflow::Inflow;
use super::open_failure::OpenFailures;
use super::outflow::Outflow;
use super::remote_forwards::RemoteForwards;
use super::traffic::Traffic;
use crate::lock::lock;
use crate::ssh::trust::host_key::Updates;

/// The state that the session's task and the rest of the program share.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Failed opens, to be claimed by their openers.
    pub(crate) failures: OpenFailures,
    /// Cancelled when the session's task has ended for any reason.
    pub(crate) closed: CancellationToken,
    /// The raw data received from the server.
    pub(crate) traffic: Arc<Traffic>,
    /// The outgoing side of the session.
    pub(crate) outflow: Arc<Outflow>,
    /// The limit on data in flight from the server, if the transport supports one.
    pub(crate) inflow: Option<Arc<Inflow>>,
    /// The session's remote listeners.
    pub(crate) remote_forwards: RemoteForwards,
    /// The host keys that the server announced.
    announced: SetOnce<Vec<PublicKey>>,
    /// The hint about the server.
    pub(crate) hint: Arc<Hint>,
    facts: Mutex<Facts>,
}

/// What was negotiated in the handshake, and why the session ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) host_key_type: Option<Algorithm>,
    pub(crate) host_key_fingerprint: String,
    /// The negotiated algorithm of the host key's signature.
    pub(crate) host_key_signature: Option<Algorithm>,
    /// Whether the trust in the host key allows its record to follow the server's announcements.
    pub(crate) updates: Option<Updates>,
    pub(crate) key_exchange: String,
    /// The cipher from the server to this side.
    pub(crate) cipher: String,
    /// Why the session ended; printable.
    pub(crate) end: Option<String>,
}

/// A hint about a server that is logged once, however many sessions show its cause.
#[derive(Debug, Default)]
pub(crate) struct Hint {
    /// The server's name as the user gave it.
    server: String,
    refusal: AtomicBool,
}

impl Hint {
    /// The hint about the server of this name, not logged yet.
    pub(crate) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }

    /// Logs once that the server does not forward connections, with possible reasons.
    pub(crate) fn no_forwarding(&self, said: &str) {
        if !self.refusal.swap(true, Relaxed) {
            warn!(
                "the server {} does not open a connection for us{said}; its AllowTcpForwarding or \
                 PermitOpen may forbid it, or it may have no forwarding at all, as tinyssh",
                self.server
            );
        }
    }
}

impl Observed {
    /// The state of a new session, with the hint about its server.
    pub(crate) fn of(hint: &Arc<Hint>, outflow: Arc<Outflow>, inflow: Option<Arc<Inflow>>) -> Self {
        Self { hint: Arc::clone(hint), outflow, inflow, ..Self::default() }
    }

    /// A copy of what is known.
    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Records why the session ended. Only the first reason counts, as the actual cause.
    pub(crate) fn ended(&self, why: String) {
        self.lock().end.get_or_insert(why);
    }

    /// Compares the algorithm of the host key's signature with the negotiated one. russh verifies a signature
    /// by whichever algorithm it names.
    pub(crate) fn check_signature(&self, mut signature: &[u8]) -> Result<(), HandlerError> {
        let negotiated = self.lock().host_key_signature.clone();
        let negotiated = negotiated.as_ref().map_or("none", Algorithm::as_str);
        let signed = String::decode(&mut signature).unwrap_or_default();
        if signed == negotiated {
            return Ok(());
        }
        let signed = one_line(&signed);
        Err(HandlerError::SignatureType { signed, negotiated: negotiated.to_owned() })
    }

    /// Completes with the host keys that the server announces, if they can be trusted.
    pub(crate) async fn announced_host_keys(&self) -> Vec<PublicKey> {
        let keys = self.announced.wait().await;
        if self.lock().updates == Some(Updates::Followed) {
            return keys.clone();
        }
        debug!("the announced host keys do not count: this one was not trusted by the record");
        std::future::pending().await
    }

    /// Records the host keys that the server announces. Only the first announcement counts, and only one of
    /// plausible length.
    pub(crate) fn announce(&self, keys: Vec<PublicKey>) {
        if (1..=MAX_HOST_KEYS).contains(&keys.len()) {
            let _ = self.announced.set(keys);
        }
    }

    /// The facts, for changes.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }
}

impl Facts {
    /// The type of the host key, such as `ssh-ed25519`.
    pub(crate) fn host_key_type(&self) -> &str {
        self.host_key_type.as_ref().map_or("none", Algorithm::as_str)
    }
}

/// The maximum number of host keys that a server may announce.
const MAX_HOST_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use russh::keys::HashAlg;
    use russh::keys::ssh_encoding::Encode;

    use super::*;

    #[test]
    fn a_signature_by_another_algorithm_than_negotiated_is_refused() {
        let observed = Observed::default();
        let signature = |name: &str| {
            let mut out = Vec::new();
            name.encode(&mut out).expect("memory");
            out
        };
        observed.lock().host_key_signature = Some(Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        observed.check_signature(&signature("rsa-sha2-512")).expect("the negotiated algorithm");
        for other in ["rsa-sha2-256", "ssh-rsa", "ssh-ed25519", ""] {
            let seen = observed.check_signature(&signature(other));
            assert!(matches!(seen, Err(HandlerError::SignatureType { .. })), "{other}: {seen:?}");
        }
        assert!(observed.check_signature(&[0, 0]).is_err());
    }

    #[test]
    fn the_first_reason_for_the_end_is_kept() {
        let observed = Observed::default();
        observed.ended("given up".into());
        observed.ended("the transport was cut".into());
        assert_eq!(observed.facts().end.as_deref(), Some("given up"));
    }
}
