//! Which types of host keys and certificates are offered to a server.

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};

use crate::ssh::known_hosts::{HostLabel, KnownHosts};

/// What is offered, best first. Certificates are negotiated before plain keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ssh) struct Offer {
    /// The types of plain keys.
    pub(in crate::ssh) keys: Vec<Algorithm>,
    /// The types of the keys in certificates.
    pub(in crate::ssh) certificates: Vec<Algorithm>,
}

/// Whether a certificate could tell anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificates {
    /// An authority is on record for the host, or something is revoked, which may be an authority.
    Matter,
    /// The plain key in it would be looked up, so it is as well to ask for that.
    Idle,
}

impl Certificates {
    /// What the record says.
    pub(super) fn of(known: &KnownHosts, host: &HostLabel) -> Self {
        if known.has_authority(host) || known.has_revoked(host) { Self::Matter } else { Self::Idle }
    }
}

impl Offer {
    /// The types on record first, then the rest, as `ssh` orders them. Neither `ssh-rsa` with
    /// SHA-1 nor DSA is among them.
    pub(super) fn new(recorded: &[Algorithm], certificates: Certificates) -> Self {
        let is_recorded = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => recorded.contains(&Algorithm::Rsa { hash: None }),
            other => recorded.contains(other),
        };
        let (mut keys, rest): (Vec<_>, Vec<_>) = ALGORITHMS.into_iter().partition(is_recorded);
        keys.extend(rest);
        let certificates = match certificates {
            Certificates::Matter => keys.clone(),
            Certificates::Idle => Vec::new(),
        };
        Self { keys, certificates }
    }
}

/// The types of host keys that we take, best first.
pub(super) const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];
