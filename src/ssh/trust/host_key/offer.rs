//! Which types of host keys and certificates are offered to a server.

use russh::keys::Algorithm;

use crate::openssh::client_config::{HOST_KEYS, HostKeyOrder, HostKeyTypes, OLD_HOST_KEYS};
use crate::ssh::trust::known_hosts::{HostLabel, KnownHosts};

/// What is offered, best first. Certificates are negotiated before plain keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) keys: Vec<Algorithm>,
    pub(crate) certificates: Vec<Algorithm>,
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
        let (mut keys, rest): (Vec<_>, Vec<_>) = HOST_KEYS.into_iter().partition(is_recorded);
        keys.extend(rest);
        let certificates = match certificates {
            Certificates::Matter => keys.clone(),
            // The key that is on record may be the one in the certificate: a server may have two of
            // a type. `ssh` asks in this order, too.
            Certificates::Idle => keys.iter().filter(|key| is_recorded(key)).cloned().collect(),
        };
        Self { keys, certificates }
    }

    /// What is left of it where only these types are taken. A certificate that could tell nothing
    /// is asked for where the plain key in it cannot be. Signatures with SHA-1 are taken where they
    /// are listed.
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
    fn a_list_counts_in_its_order_or_what_is_on_record_comes_first() {
        let names = ["rsa-sha2-512", "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-dss"];
        let keys = |order| limited(Certificates::Matter, order, &names).keys;
        assert_eq!(keys(HostKeyOrder::AsListed), [RSA, Algorithm::Ed25519, ECDSA]);
        assert_eq!(keys(HostKeyOrder::RecordedFirst), [ECDSA, Algorithm::Ed25519, RSA]);
    }

    #[test]
    fn signatures_with_sha_1_are_for_those_who_list_them() {
        let sha_1 = [Algorithm::Rsa { hash: None }];
        let keys = limited(Certificates::Idle, HostKeyOrder::RecordedFirst, &["ssh-rsa"]).keys;
        assert_eq!(keys, sha_1);
        assert!(!Offer::new(&sha_1, Certificates::Matter).keys.contains(&sha_1[0]));
    }

    #[test]
    fn certificates_that_tell_nothing_stand_in_for_plain_keys_that_are_not_listed() {
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
