//! A server's proof that it holds the private keys of the host keys it announced (OpenSSH's `PROTOCOL`, section
//! 2.5).
//!
//! russh's own check accepts SHA-1 signatures of RSA keys, so that the reply is checked here.

use russh::keys::PublicKey;
use russh::keys::signature::Verifier;
use russh::keys::ssh_encoding::{Decode, Encode};
use russh::keys::ssh_key::Signature;
use russh::keys::{Algorithm, ssh_key};

/// The name of the request, which is part of the signed data.
pub(crate) const REQUEST: &str = "hostkeys-prove-00@openssh.com";

/// Why announced keys are not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// The server refused, or the session ended.
    #[error("the server gave no proof: {0}")]
    NoReply(russh::Error),
    #[error("the proof cannot be read: {0}")]
    Malformed(ssh_key::Error),
    #[error("the proof has trailing data")]
    Excess,
    #[error("the proof is signed with SHA-1")]
    Weak,
    #[error("the proof is wrong for the {algorithm} key {fingerprint}")]
    Wrong { algorithm: String, fingerprint: String },
}

impl From<ssh_key::Error> for ProofError {
    fn from(error: ssh_key::Error) -> Self {
        Self::Malformed(error)
    }
}

/// The data of the request for a proof of `keys`.
pub(crate) fn request(keys: &[PublicKey]) -> Result<Vec<u8>, ProofError> {
    let mut out = Vec::new();
    for key in keys {
        key.to_bytes()?.encode(&mut out).map_err(ssh_key::Error::from)?;
    }
    Ok(out)
}

/// Verifies the reply: a signature for each of `keys`, in order.
pub(crate) fn verify(
    session_id: &[u8],
    keys: &[PublicKey],
    mut reply: &[u8],
) -> Result<(), ProofError> {
    for key in keys {
        let blob = Vec::<u8>::decode(&mut reply).map_err(ssh_key::Error::from)?;
        let signature = Signature::try_from(blob.as_slice())?;
        if signature.algorithm() == (Algorithm::Rsa { hash: None }) {
            return Err(ProofError::Weak);
        }
        let mut signed = Vec::new();
        let parts = [REQUEST.as_bytes(), session_id, &key.to_bytes()?];
        for part in parts {
            part.encode(&mut signed).map_err(ssh_key::Error::from)?;
        }
        Verifier::verify(key.key_data(), &signed, &signature).map_err(|_| ProofError::Wrong {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
        })?;
    }
    if reply.is_empty() { Ok(()) } else { Err(ProofError::Excess) }
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;
    use russh::keys::signature::Signer;

    use super::*;

    const ID: &[u8] = b"a session";

    fn signature(key: &PrivateKey, session_id: &[u8], name: &str) -> Vec<u8> {
        let mut signed = Vec::new();
        let public = key.public_key().to_bytes().expect("a key");
        for part in [name.as_bytes(), session_id, &public] {
            part.encode(&mut signed).expect("memory");
        }
        let signature: Signature = key.try_sign(&signed).expect("a signature");
        let mut out = Vec::new();
        Vec::<u8>::try_from(signature).expect("bytes").encode(&mut out).expect("memory");
        out
    }

    #[test]
    fn each_key_must_sign_for_this_session() {
        let keys: Vec<_> = [Algorithm::Ed25519, Algorithm::Ed25519]
            .map(|a| PrivateKey::random(&mut safe_rng(), a).expect("a key"))
            .into();
        let public: Vec<_> = keys.iter().map(|k| k.public_key().clone()).collect();
        let good: Vec<u8> = keys.iter().flat_map(|k| signature(k, ID, REQUEST)).collect();
        verify(ID, &public, &good).expect("both signed");

        let swapped: Vec<u8> = keys.iter().rev().flat_map(|k| signature(k, ID, REQUEST)).collect();
        let elsewhere: Vec<u8> = keys.iter().flat_map(|k| signature(k, b"x", REQUEST)).collect();
        let other: Vec<u8> = keys.iter().flat_map(|k| signature(k, ID, "other")).collect();
        for wrong in [swapped, elsewhere, other] {
            assert!(matches!(verify(ID, &public, &wrong), Err(ProofError::Wrong { .. })));
        }
        assert!(matches!(
            verify(ID, &public, &good[..good.len() - 1]),
            Err(ProofError::Malformed(_))
        ));
        let one = signature(&keys[0], ID, REQUEST);
        assert!(matches!(verify(ID, &public, &one), Err(ProofError::Malformed(_))));
        assert!(matches!(verify(ID, &public[..1], &good), Err(ProofError::Excess)));
    }
}
