//! Why a host key is refused, with messages that say what to do.

use std::fmt;
use std::io;

use russh::keys::{HashAlg, PublicKey};

use super::certificate::CertificateFault;
use super::revoked::RevocationError;
use crate::printable::{self, Lines, printable};
use crate::ssh::trust::known_hosts::{KnownHostsError, RecordedKey};

/// A refused host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// The server as named in `known_hosts`: `host`, `[host]:port` or its alias; escaped.
    pub host: String,
    /// The type of the key.
    pub algorithm: String,
    /// Its fingerprint, such as `SHA256:…`.
    pub fingerprint: String,
    /// The fault of the certificate, if there was one of a recorded authority.
    pub certificate: Option<Box<CertificateFault>>,
}

/// Why a host key is refused. The message is complete and meant for the user.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HostKeyError {
    /// The server has other keys on record. It is refused regardless of `StrictHostKeyChecking`.
    #[error("{}", Changed { key, recorded })]
    Changed { key: RefusedKey, recorded: Vec<RecordedKey> },
    #[error(
        "the host key of '{}' is revoked: {key}, or the authority that vouches for it, is revoked \
         in {at}; somebody may have stolen it. Ask whoever runs the server",
        key.host
    )]
    Revoked {
        key: RefusedKey,
        /// The file, and the line if the file has lines; escaped.
        at: String,
    },
    #[error(
        "the host key of '{}' is not on record, and nobody can be asked about it ({}). Connect \
         once with ssh on a terminal, or check the fingerprint and add the output of ssh-keyscan \
         to known_hosts",
        .0.host, .0
    )]
    UnknownAndNobodyToAsk(RefusedKey),
    #[error(
        "the host key of '{}' is not on record, and StrictHostKeyChecking is yes ({}). Check \
         the fingerprint and add the key to known_hosts, or set StrictHostKeyChecking to ask",
        .0.host, .0
    )]
    UnknownAndStrict(RefusedKey),
    #[error(
        "the host key of '{}' is not on record, and UserKnownHostsFile is none, so that it cannot \
         be accepted either ({}). Name a file there",
        .0.host, .0
    )]
    UnknownAndNoFile(RefusedKey),
    #[error("the host key of '{}' was not accepted ({})", .0.host, .0)]
    Declined(RefusedKey),
    #[error(
        "the host key of '{}' is not on record, and asking about it failed: {cause} ({key})",
        key.host
    )]
    Prompt { key: RefusedKey, cause: io::Error },
    #[error(
        "the host key of '{}' is an RSA key of fewer than {required} bits (RequiredRSASize): \
         {key}. Whoever runs the server should make a new one",
        key.host
    )]
    TooSmall { key: RefusedKey, required: u32 },
    #[error("the certificate of '{}' is forged: its signature is wrong ({})", .0.host, .0)]
    ForgedCertificate(RefusedKey),
    /// A file of revoked keys cannot be used, so that no key is trusted.
    #[error("the host key cannot be checked: {0}")]
    Revocation(RevocationError),
    /// `KnownHostsCommand` failed, so that no key is trusted.
    #[error("the host key cannot be checked: KnownHostsCommand {0}")]
    Command(String),
    /// The record cannot be read, so that no key is trusted.
    #[error("the host key cannot be checked: {0}")]
    Record(KnownHostsError),
}

impl From<KnownHostsError> for HostKeyError {
    fn from(error: KnownHostsError) -> Self {
        Self::Record(error)
    }
}

impl RefusedKey {
    pub(super) fn new(host: &str, key: &PublicKey) -> Self {
        Self {
            host: printable_host(host),
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            certificate: None,
        }
    }
}

/// Its type and fingerprint, and the certificate's fault.
impl fmt::Display for RefusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint)?;
        match &self.certificate {
            Some(fault) => write!(f, "; its certificate does not count: {fault}"),
            None => Ok(()),
        }
    }
}

/// The one message that must alarm the user.
struct Changed<'a> {
    key: &'a RefusedKey,
    recorded: &'a [RecordedKey],
}

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.key.host;
        writeln!(
            f,
            "THE HOST KEY OF '{host}' HAS CHANGED. Somebody may be standing between you and the \
             server, or the server was set up anew."
        )?;
        writeln!(f, "  it showed:  {}", self.key)?;
        for RecordedKey { place, algorithm, fingerprint } in self.recorded {
            writeln!(f, "  on record:  {algorithm} {fingerprint}  ({place})")?;
        }
        write!(f, "It is refused, also with StrictHostKeyChecking=no. ")?;
        write!(f, "If whoever runs the server confirms the new key, remove the old one:")?;
        let files = self.recorded.iter().map(|r| printable::path(&r.place.file));
        let mut files: Vec<_> = files.collect();
        files.dedup();
        for file in files {
            write!(f, "\n  ssh-keygen -f {} -R {}", quoted(&file), quoted(host))?;
        }
        Ok(())
    }
}

pub(super) fn printable_host(host: &str) -> String {
    printable(host, 200, Lines::One)
}

/// A text in single quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
