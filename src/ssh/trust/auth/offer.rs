//! What is offered to a server: a public key, or a certificate of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::RsaSignatures;
use crate::openssh::client_config::ClientConfig;
use crate::printable::{Lines, printable};

/// What is offered to a server.
#[derive(Clone, Debug)]
pub(super) enum Offer {
    Key(PublicKey),
    /// A certificate, which contains the public key.
    Certificate(Box<Certificate>),
}

impl Offer {
    /// Parses the first line of a `.pub` file that is not a comment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
        let certificate = || Certificate::from_openssh(line).ok().map(Box::new);
        // Certificates first: the parser of keys may accept one as a key of an unknown type.
        match certificate() {
            Some(certificate) => Some(Self::Certificate(certificate)),
            None => PublicKey::from_openssh(line).ok().map(Self::Key),
        }
    }

    /// The key, also of a certificate.
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

    /// Whether it is a user certificate, the only kind that can log in.
    pub(super) fn is_user_certificate(&self) -> bool {
        matches!(self, Self::Certificate(c) if c.cert_type() == CertType::User)
    }

    /// Whether both are the same key or the same certificate.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => a.key_data() == b.key_data(),
            (Self::Certificate(a), Self::Certificate(b)) => {
                a.public_key() == b.public_key() && a.signature() == b.signature()
            }
            (Self::Key(_), Self::Certificate(_)) | (Self::Certificate(_), Self::Key(_)) => false,
        }
    }

    /// Whether a signature requires a touch.
    pub(super) fn is_security_key(&self) -> bool {
        matches!(self.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
    }

    /// Its type and fingerprint, for display.
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

    /// The hash of an RSA key's signature, none for SHA-1; an error is the reason why the key is not tried at all.
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

    /// The first configured hash that the server accepts. One that accepts SHA-512 accepts SHA-256 (RFC 8332
    /// has both). One that announces nothing gets SHA-256, as recommended by section 3; but whoever configures
    /// SHA-1 has such a server in mind, as in `ssh`.
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
        // SHA-1 is used if it is listed and the server accepts nothing else that is.
        found.or(ours(&None).then_some(None)).ok_or_else(|| NO_RSA.to_owned())
    }

    /// The algorithm's name on the wire, as in `PubkeyAcceptedAlgorithms`.
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

    /// Possible reasons for a refusal by the server, which gives none.
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

/// A date in an unambiguous format.
fn date(seconds: u64) -> String {
    // The format ends with the year 9999.
    let last = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(last)))
}

const SHA_1_ONLY: &str = "the server knows only SHA-1 signatures of RSA keys \
                          (PubkeyAcceptedAlgorithms +ssh-rsa in ssh_config allows them)";
const NO_RSA: &str = "PubkeyAcceptedAlgorithms has no signature for RSA keys that the server takes";
