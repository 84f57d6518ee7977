//! Which types of host keys and certificates are offered to a server.

use russh::keys::Algorithm;

use crate::openssh::client_config::{HOST_KEYS, HostKeyOrder, HostKeyTypes, OLD_HOST_KEYS};

/// The offered types, best first. Certificates are negotiated before plain keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) keys: Vec<Algorithm>,
    pub(crate) certificates: Vec<Algorithm>,
}

/// Whether a certificate could make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificates {
    /// An authority is recorded for the host, or a revoked key is, which may be that of an authority.
    Matter,
    /// No: only its plain key would be looked up, so that this can be requested instead.
    Idle,
}

impl Offer {
    /// The recorded types first, then the rest, as ordered by `ssh`. Neither `ssh-rsa` with SHA-1 nor DSA is
    /// included.
    pub(super) fn new(recorded: &[Algorithm], certificates: Certificates) -> Self {
        let is_recorded = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => recorded.contains(&Algorithm::Rsa { hash: None }),
            other => recorded.contains(other),
        };
        let (mut keys, rest): (Vec<_>, Vec<_>) = HOST_KEYS.into_iter().partition(is_recorded);
        keys.extend(rest);
        let certificates = match certificates {
            Certificates::Matter => keys.clone(),
            // The recorded key may be the one in the certificate, since a server may have two keys of one type.
            // `ssh` uses this order, too.
            Certificates::Idle => keys.iter().filter(|key| is_recorded(key)).cloned().collect(),
        };
        Self { keys, certificates }
    }

    /// The offer restricted to these types. A certificate that makes no difference is requested if the plain
    /// key in it cannot be. Signatures with SHA-1 are accepted if they are listed.
    pub(crate) fn limited_to(self, types: &HostKeyTypes) -> Self {
        let place = |name: &str| types.names.iter().position(|listed| listed == name);
        let is_listed = |name: &str| place(name).is_some();
        let wanted = self.certificates;
        let mut keys = self.keys;
        keys.extend(OLD_HOST_KEYS);
        let mut certificates = keys.clone();
        certificates.retain(|key| {
            let is_wanted = wanted.contains(key) || !is_listed(key.as_str());
            is_wanted && is_listed(&key.to_certificate_type())
        });
        keys.retain(|key| is_listed(key.as_str()));
        match types.order {
            HostKeyOrder::AsListed => {
                keys.sort_by_key(|key| place(key.as_str()));
                certificates.sort_by_key(|key| place(&key.to_certificate_type()));
            }
            HostKeyOrder::RecordedFirst => {}
        }
        Self { keys, certificates }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{EcdsaCurve, HashAlg};

    use super::*;

    const RSA: Algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
    const ECDSA: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };

    fn limited(certificates: Certificates, order: HostKeyOrder, names: &[&str]) -> Offer {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Offer::new(&[ECDSA], certificates).limited_to(&HostKeyTypes { names, order })
    }

    #[test]
    fn a_list_keeps_its_order_or_recorded_types_come_first() {
        let names = ["rsa-sha2-512", "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-dss"];
        let keys = |order| limited(Certificates::Matter, order, &names).keys;
        assert_eq!(keys(HostKeyOrder::AsListed), [RSA, Algorithm::Ed25519, ECDSA]);
        assert_eq!(keys(HostKeyOrder::RecordedFirst), [ECDSA, Algorithm::Ed25519, RSA]);
    }

    #[test]
    fn signatures_with_sha_1_must_be_listed() {
        let sha_1 = [Algorithm::Rsa { hash: None }];
        let keys = limited(Certificates::Idle, HostKeyOrder::RecordedFirst, &["ssh-rsa"]).keys;
        assert_eq!(keys, sha_1);
        assert!(!Offer::new(&sha_1, Certificates::Matter).keys.contains(&sha_1[0]));
    }

    #[test]
    fn certificates_replace_plain_keys_that_are_not_listed() {
        let names = [
            "ssh-ed25519-cert-v01@openssh.com",
            "rsa-sha2-512-cert-v01@openssh.com",
            "ssh-ed25519",
        ];
        let of = |certificates| limited(certificates, HostKeyOrder::AsListed, &names).certificates;
        assert_eq!(of(Certificates::Matter), [Algorithm::Ed25519, RSA]);
        assert_eq!(of(Certificates::Idle), [RSA]);
    }
}
