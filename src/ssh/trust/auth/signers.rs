//! Signers for keys that are not in the agent.

use std::sync::Arc;

use russh::SendError;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::{self, Encode};
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, signature};

/// Signs with a private key from a file, for the key itself or for a certificate of it.
pub(super) struct FileSigner(pub(super) Arc<PrivateKey>);

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileSignerError {
    #[error("it cannot sign: {0}")]
    Key(signature::Error),
    #[error("its signature cannot be sent: {0}")]
    Encoding(ssh_encoding::Error),
    #[error("the connection is gone")]
    Gone,
}

impl From<SendError> for FileSignerError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for FileSigner {
    type Error = FileSignerError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, FileSignerError> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(key) => (key, hash).try_sign(&request),
            other => other.try_sign(&request),
        };
        let signature = signature.map_err(FileSignerError::Key)?;
        // The signature is appended to the request.
        signature.encode_prefixed(&mut request).map_err(FileSignerError::Encoding)?;
        Ok(request)
    }
}

/// Signs nothing; finds out whether a signature is requested.
pub(super) struct OnlyAsking;

/// The finding of [`OnlyAsking`].
#[derive(Debug)]
pub(super) enum Asked {
    Wanted,
    Gone,
}

impl From<SendError> for Asked {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for OnlyAsking {
    type Error = Asked;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _request: Vec<u8>,
    ) -> Result<Vec<u8>, Asked> {
        Err(Asked::Wanted)
    }
}
