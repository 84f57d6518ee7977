//! What a session shares with russh's handler: what was agreed on when it began, and what happens to it.

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

/// What the session's task and the rest of the program share.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Failed opens, to be taken by their openers.
    pub(crate) failures: OpenFailures,
    /// Cancelled when the session's task has ended, for whatever reason.
    pub(crate) closed: CancellationToken,
    /// What came from the server, whatever it says.
    pub(crate) traffic: Arc<Traffic>,
    /// What is on its way to the server.
    pub(crate) outflow: Arc<Outflow>,
    /// How much may be on its way from it, where that can be bounded.
    pub(crate) inflow: Option<Arc<Inflow>>,
    /// Where the server listens for us.
    pub(crate) remote_forwards: RemoteForwards,
    /// The host keys that the server says it has.
    announced: SetOnce<Vec<PublicKey>>,
    told: Arc<Told>,
    facts: Mutex<Facts>,
}

/// What was agreed on in the handshake, and how the session ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) host_key_type: Option<Algorithm>,
    pub(crate) host_key_fingerprint: String,
    /// The algorithm that was agreed on for the host key's signature.
    pub(crate) host_key_signature: Option<Algorithm>,
    /// Whether the host key was trusted in a way that lets the record follow what the server
    /// announces.
    pub(crate) updates: Option<Updates>,
    pub(crate) key_exchange: String,
    /// The cipher from the server to us.
    pub(crate) cipher: String,
    /// Why the session ended, in printable words.
    pub(crate) end: Option<String>,
}

/// What the user was told of a server, whichever session it showed on.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// As the user named it.
    server: String,
    refusal: AtomicBool,
}

impl Told {
    /// Nothing yet, of the server that the user named so.
    pub(crate) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }

    /// Says once that the server does not forward, and what that may be.
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
    /// Of a session with these ways out and in, to a server of which this was told.
    pub(crate) fn of(told: &Arc<Told>, outflow: Arc<Outflow>, inflow: Option<Arc<Inflow>>) -> Self {
        Self { told: Arc::clone(told), outflow, inflow, ..Self::default() }
    }

    /// What the user was told of the server.
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// A copy of what is known.
    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Notes why the session ended. The first reason is the true one.
    pub(crate) fn ended(&self, why: String) {
        self.lock().end.get_or_insert(why);
    }

    /// Holds the algorithm of the host key's signature against the one that was agreed on.
    /// russh verifies the signature by whatever algorithm it names.
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

    /// Completes with the host keys that the server announces, where they may be believed.
    pub(crate) async fn announced_host_keys(&self) -> Vec<PublicKey> {
        let keys = self.announced.wait().await;
        if self.lock().updates == Some(Updates::Followed) {
            return keys.clone();
        }
        debug!("the announced host keys do not count: this one was not trusted by the record");
        std::future::pending().await
    }

    /// Takes the host keys that the server announces. Only the first announcement counts, and only
    /// what could be true.
    pub(crate) fn announce(&self, keys: Vec<PublicKey>) {
        if (1..=MAX_HOST_KEYS).contains(&keys.len()) {
            let _ = self.announced.set(keys);
        }
    }

    /// The facts, to be changed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }
}

impl Facts {
    /// The host key's type, as `ssh-ed25519`.
    pub(crate) fn host_key_type(&self) -> &str {
        self.host_key_type.as_ref().map_or("none", Algorithm::as_str)
    }
}

/// A server that says it has more host keys is not believed.
const MAX_HOST_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use russh::keys::HashAlg;
    use russh::keys::ssh_encoding::Encode;

    use super::*;

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
