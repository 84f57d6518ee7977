//! What a server is shown of a key: its public half, or a certificate of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::RsaSignatures;
use crate::openssh::client_config::ClientConfig;
use crate::printable::{Lines, printable};

/// What a server is shown.
#[derive(Clone, Debug)]
pub(super) enum Offer {
    Key(PublicKey),
    /// A certificate, which has the public key in it.
    Certificate(Box<Certificate>),
}

impl Offer {
    /// Reads the first line of a `.pub` file that is not a comment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
        let certificate = || Certificate::from_openssh(line).ok().map(Box::new);
        // Certificates first: the parser of keys may take one for a key of an unknown type.
        match certificate() {
            Some(certificate) => Some(Self::Certificate(certificate)),
            None => PublicKey::from_openssh(line).ok().map(Self::Key),
        }
    }

    /// The key, of a certificate too.
    pub(super) fn key(&self) -> &KeyData {
        match self {
            Self::Key(key) => key.key_data(),
            Self::Certificate(certificate) => certificate.public_key(),
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.key().algorithm()
    }

    pub(super) fn is_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }

    /// Whether a certificate is one of a user, which is the only kind to log in with.
    pub(super) fn is_user_certificate(&self) -> bool {
        matches!(self, Self::Certificate(c) if c.cert_type() == CertType::User)
    }

    /// Whether both are the same key, or the same certificate.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => a.key_data() == b.key_data(),
            (Self::Certificate(a), Self::Certificate(b)) => {
                a.public_key() == b.public_key() && a.signature() == b.signature()
            }
            (Self::Key(_), Self::Certificate(_)) | (Self::Certificate(_), Self::Key(_)) => false,
        }
    }

    /// Whether somebody must touch something for a signature.
    pub(super) fn is_security_key(&self) -> bool {
        matches!(self.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
    }

    /// Its type and fingerprint, for a person.
    pub(super) fn describe(&self) -> String {
        let fingerprint = self.key().fingerprint(HashAlg::Sha256);
        let algorithm = self.algorithm();
        let algorithm = printable(algorithm.as_str(), 80, Lines::One);
        match self {
            Self::Key(_) => format!("{algorithm} {fingerprint}"),
            Self::Certificate(certificate) => {
                let id = printable(certificate.key_id(), 80, Lines::One);
                format!("certificate \"{id}\" {algorithm} {fingerprint}")
            }
        }
    }

    /// The hash that an RSA key signs with, where it is not SHA-1; an error says why the key is not
    /// tried at all.
    pub(super) fn signature(
        &self,
        config: &ClientConfig,
        server: RsaSignatures,
    ) -> Result<Option<HashAlg>, String> {
        let accepted = &config.auth.pubkey_accepted_algorithms;
        match self.key() {
            KeyData::Rsa(key) => {
                let (bits, least) = (key.key_size(), config.required_rsa_size);
                if bits < least {
                    return Err(format!("has {bits} bits, and RequiredRSASize asks for {least}"));
                }
                self.rsa_hash(accepted, server)
            }
            KeyData::Dsa(_) => Err("DSA is too weak".to_owned()),
            _ => match self.name(None) {
                name if accepted.contains(&name) => Ok(None),
                name => {
                    let name = printable(&name, 80, Lines::One);
                    Err(format!("PubkeyAcceptedAlgorithms does not have {name}"))
                }
            },
        }
    }

    /// The first hash of our list that the server takes. One that takes SHA-512 takes SHA-256 (RFC
    /// 8332 has both). One that does not say what it takes gets SHA-256, as section 3 recommends;
    /// but who asks for SHA-1 has such a server in mind, as with `ssh`.
    fn rsa_hash(
        &self,
        accepted: &[String],
        server: RsaSignatures,
    ) -> Result<Option<HashAlg>, String> {
        let ours = |hash: &Option<HashAlg>| accepted.contains(&self.name(*hash));
        let (sha_512, sha_256) = (Some(HashAlg::Sha512), Some(HashAlg::Sha256));
        let taken: &[Option<HashAlg>] = match server {
            RsaSignatures::With(HashAlg::Sha512) => &[sha_512, sha_256],
            RsaSignatures::With(_) => &[sha_256],
            RsaSignatures::Untold => {
                let choice = [None, sha_256, sha_512].into_iter().find(ours);
                return choice.ok_or_else(|| NO_RSA.to_owned());
            }
            RsaSignatures::Sha1Only if ours(&None) => return Ok(None),
            RsaSignatures::Sha1Only => return Err(SHA_1_ONLY.to_owned()),
        };
        let of_name = |name: &String| taken.iter().find(|hash| *name == self.name(**hash));
        let found = accepted.iter().find_map(of_name).copied();
        // SHA-1 where the list has it and nothing else that the server takes: it is meant so.
        found.or(ours(&None).then_some(None)).ok_or_else(|| NO_RSA.to_owned())
    }

    /// The algorithm's name on the wire, as `PubkeyAcceptedAlgorithms` has it.
    fn name(&self, hash: Option<HashAlg>) -> String {
        let algorithm = match self.algorithm() {
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash },
            other => other,
        };
        match self {
            Self::Key(_) => algorithm.as_str().to_owned(),
            Self::Certificate(_) => algorithm.to_certificate_type(),
        }
    }

    /// What may be the reason when a server refuses it; the server does not say.
    pub(super) fn doubts(&self, user: &str, now: SystemTime) -> Option<String> {
        let Self::Certificate(certificate) = self else { return None };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut doubts = Vec::new();
        let (after, before) = (certificate.valid_after(), certificate.valid_before());
        if now < after {
            doubts.push(format!("it is valid from {} on", date(after)));
        }
        if now >= before {
            doubts.push(format!("it expired on {}", date(before)));
        }
        let principals = certificate.valid_principals();
        if !principals.iter().any(|p| p == user) {
            let names = match principals {
                [] => "nobody".to_owned(),
                some => some.join(", "),
            };
            doubts.push(format!("it names {}", printable(&names, 200, Lines::One)));
        }
        (!doubts.is_empty()).then(|| doubts.join("; "))
    }
}

impl From<&AgentIdentity> for Offer {
    fn from(identity: &AgentIdentity) -> Self {
        match identity {
            AgentIdentity::PublicKey { key, .. } => Self::Key(key.clone()),
            AgentIdentity::Certificate { certificate, .. } => {
                Self::Certificate(Box::new(certificate.clone()))
            }
        }
    }
}

/// A date, which reads the same whenever it is shown.
fn date(seconds: u64) -> String {
    // The format has no years beyond 9999.
    let last = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(last)))
}

const SHA_1_ONLY: &str = "the server knows only SHA-1 signatures of RSA keys \
                          (PubkeyAcceptedAlgorithms +ssh-rsa in ssh_config allows them)";
const NO_RSA: &str = "PubkeyAcceptedAlgorithms has no signature for RSA keys that the server takes";
