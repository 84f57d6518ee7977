//! Checks whether a host certificate is valid for a host (OpenSSH's `PROTOCOL.certkeys`).

use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;

use crate::printable::{Lines, printable};

/// The requirements for a certificate, besides a recorded authority.
#[derive(Clone, Debug)]
pub(super) struct CertificateRules {
    /// The name that must be among its principals: `HostKeyAlias` or the host's name, in lower case and without
    /// a port.
    pub(super) principal: String,
    /// The accepted signature algorithms of authorities, such as `ssh-ed25519`.
    pub(super) signatures: Vec<String>,
}

/// Why a certificate is not valid. The plain key in it may still be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CertificateFault {
    #[error("it is a user's certificate, not a host's")]
    NotAHost,
    #[error("it is not valid before {} from now; is this machine's clock right?", span(*.seconds))]
    NotYetValid { seconds: u64 },
    #[error("it expired {} ago", span(*.seconds))]
    Expired { seconds: u64 },
    #[error("it is for {principals}, not for '{name}'")]
    OtherPrincipal {
        name: String,
        /// Its principals; escaped.
        principals: String,
    },
    /// It has a critical option, none of which is defined for host certificates.
    #[error("it has the critical option '{0}', which is not known")]
    CriticalOption(String),
    #[error("its authority signed it with {0}, which CASignatureAlgorithms does not allow")]
    Signature(String),
}

impl CertificateRules {
    /// Checks a certificate in OpenSSH's order. The caller must verify that its signature is genuine and its
    /// authority recorded.
    ///
    /// A certificate without principals is valid for every name, as in OpenSSH 9.
    pub(super) fn check(
        &self,
        certificate: &Certificate,
        now: SystemTime,
    ) -> Result<(), CertificateFault> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (after, before) = (certificate.valid_after(), certificate.valid_before());
        if certificate.cert_type() != CertType::Host {
            return Err(CertificateFault::NotAHost);
        }
        if now < after {
            return Err(CertificateFault::NotYetValid { seconds: after - now });
        }
        if now >= before {
            return Err(CertificateFault::Expired { seconds: now - before });
        }
        let principals = certificate.valid_principals();
        if !principals.is_empty() && !principals.contains(&self.principal) {
            return Err(CertificateFault::OtherPrincipal {
                name: printable(&self.principal, MAX_TEXT, Lines::One),
                principals: printable(&principals.join(", "), MAX_TEXT, Lines::One),
            });
        }
        if let Some(name) = certificate.critical_options().keys().next() {
            return Err(CertificateFault::CriticalOption(printable(name, MAX_TEXT, Lines::One)));
        }
        let signature = certificate.signature().algorithm();
        if !self.signatures.iter().any(|allowed| allowed == signature.as_str()) {
            return Err(CertificateFault::Signature(signature.as_str().to_owned()));
        }
        Ok(())
    }
}

/// A duration in its largest unit, rounded down.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// The maximum length of a name that is shown, in characters.
const MAX_TEXT: usize = 200;
