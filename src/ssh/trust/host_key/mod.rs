//! Verifies that a server is who it claims to be.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PublicKey, PublicKeyOrCertificate};
use tokio::sync::Mutex;

use super::MIN_RSA;
use super::known_hosts::{self, HostLabel, KnownHosts, KnownHostsError, Verdict};
use crate::openssh::client_config::{
    ClientConfig, HostKeyConfig, HostKeyTypes, SIGNATURES, StrictHostKeyChecking,
};
use crate::openssh::prompt::Prompter;
use crate::task;
use certificate::CertificateRules;
use offer::Certificates;

pub(crate) use accepted::{Accepted, HostKeyVerdict, Updates};
pub use certificate::CertificateFault;
pub use error::{HostKeyError, RefusedKey};
pub(crate) use offer::Offer;
pub use revoked::RevocationError;

mod accepted;
mod certificate;
mod command;
mod error;
mod krl;
mod offer;
pub(crate) mod proof;
mod question;
mod revoked;
#[cfg(test)]
mod tests;
mod update;

/// Decides about the host keys of one server. One value serves all its sessions, so that a person is asked once.
#[derive(Debug)]
pub(crate) struct HostKeyPolicy {
    host: HostLabel,
    config: HostKeyConfig,
    /// The accepted types of host keys (`HostKeyAlgorithms`), if they are limited.
    types: Option<HostKeyTypes>,
    min_rsa_bits: u32,
    certificates: CertificateRules,
    prompter: Prompter,
    /// Keys that a person accepted but that could not be recorded. Locked while a person is being asked.
    accepted: Mutex<Vec<KeyData>>,
    told_broken_lines: AtomicBool,
    /// Whether a person declined that the record follows the server.
    update_declined: AtomicBool,
}

impl HostKeyPolicy {
    /// The policy for the server of `config`, looked up under `HostKeyAlias` if there is one.
    pub(crate) fn new(config: &ClientConfig, prompter: &Prompter) -> Self {
        let (host, principal) = if let Some(alias) = &config.host_keys.host_key_alias {
            (HostLabel::of_alias(alias), alias.to_lowercase())
        } else {
            (HostLabel::new(&config.host_name, config.port), config.host_name.to_lowercase())
        };
        let signatures = match &config.host_keys.ca_signature_algorithms {
            Some(names) => names.clone(),
            None => SIGNATURES.map(str::to_owned).into(),
        };
        let prompter =
            if config.auth.batch_mode.is_on() { Prompter::nobody() } else { prompter.clone() };
        Self {
            host,
            config: config.host_keys.clone(),
            types: config.algorithms.host_keys.clone(),
            min_rsa_bits: config.required_rsa_size,
            certificates: CertificateRules { principal, signatures },
            prompter,
            accepted: Mutex::default(),
            told_broken_lines: AtomicBool::new(false),
            update_declined: AtomicBool::new(false),
        }
    }

    /// Accepts the presented key, or returns why not. A new key may be asked about and recorded. The files are
    /// read each time, so that a correction takes effect for the next session.
    ///
    /// # Errors
    ///
    /// Every error is a refusal; its message is meant for the user.
    pub(crate) async fn verify(
        &self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<Accepted, HostKeyError> {
        let key = shown.public_key();
        let mut refused = RefusedKey::new(self.host.as_str(), &key);
        if !self.is_large_enough(&key) {
            return Err(HostKeyError::TooSmall { key: refused, required: self.min_rsa_bits });
        }
        self.refuse_revoked(&refused, &key, shown.certificate()).await?;
        let output = self.ask_command("HOSTNAME", Some(&key)).await?;
        if let Some(certificate) = shown.certificate() {
            match self.verify_certificate(&refused, certificate, &output).await? {
                Ok(true) => {
                    let (verdict, updates) = (HostKeyVerdict::Certified, Updates::Ignored);
                    return Ok(Accepted { verdict, updates });
                }
                Ok(false) => {}
                Err(fault) => refused.certificate = Some(Box::new(fault)),
            }
        }
        self.verify_key(refused, &key, &output).await
    }

    /// The types of keys and certificates to offer, best first: those recorded for the server, then the rest.
    pub(crate) async fn offer(&self) -> Offer {
        let known = async { self.read(&self.ask_command("ORDER", None).await?).await };
        // `verify` reports what cannot be read, and refuses the key then.
        let Ok(known) = known.await else { return Offer::new(&[], Certificates::Idle) };
        let matter = !self.config.revoked_host_keys.is_empty() || known.has_marked(&self.host);
        let certificates = if matter { Certificates::Matter } else { Certificates::Idle };
        Offer::new(&known.recorded_algorithms(&self.host), certificates)
    }

    async fn verify_key(
        &self,
        refused: RefusedKey,
        key: &PublicKey,
        output: &CommandOutput,
    ) -> Result<Accepted, HostKeyError> {
        let known = |updates| Accepted { verdict: HostKeyVerdict::Known, updates };
        if let Some(updates) = self.on_record(&refused, key, output).await? {
            return Ok(known(updates));
        }
        let mut accepted = self.accepted.lock().await;
        // Another session may have asked meanwhile.
        if accepted.contains(key.key_data()) {
            return Ok(known(Updates::Ignored));
        }
        if let Some(updates) = self.on_record(&refused, key, output).await? {
            return Ok(known(updates));
        }
        if self.config.user_known_hosts_files.is_empty() {
            return Err(HostKeyError::UnknownAndNoFile(refused));
        }
        let updates = match self.config.strict_host_key_checking {
            StrictHostKeyChecking::Yes => return Err(HostKeyError::UnknownAndStrict(refused)),
            StrictHostKeyChecking::Ask => {
                question::ask(&self.prompter, &refused).await?;
                Updates::Followed
            }
            StrictHostKeyChecking::AcceptNew => Updates::Ignored,
        };
        if self.record(&refused, key, output).await? {
            return Ok(Accepted { verdict: HostKeyVerdict::Added, updates });
        }
        if self.config.strict_host_key_checking == StrictHostKeyChecking::Ask {
            accepted.push(key.key_data().clone());
        }
        Ok(Accepted { verdict: HostKeyVerdict::Unrecorded, updates: Updates::Ignored })
    }

    /// Whether a recorded authority certifies the host. If the certificate is faulty, the plain key is looked
    /// up, as in `ssh`.
    async fn verify_certificate(
        &self,
        refused: &RefusedKey,
        certificate: &Certificate,
        output: &CommandOutput,
    ) -> Result<Result<bool, CertificateFault>, HostKeyError> {
        // russh leaves this to its user. Its combined check does not say what is wrong.
        if certificate.verify_signature().is_err() {
            return Err(HostKeyError::ForgedCertificate(refused.clone()));
        }
        match self.read(output).await?.certificate_verdict(&self.host, certificate) {
            Err(at) => Err(HostKeyError::Revoked { key: refused.clone(), at: at.to_string() }),
            Ok(None) => Ok(Ok(false)),
            Ok(Some(at)) => {
                tracing::debug!(%at, "the host's authority is on record");
                let checked = self.certificates.check(certificate, SystemTime::now());
                if let Err(fault) = &checked {
                    tracing::warn!("the host certificate does not count: {fault}");
                }
                Ok(checked.map(|()| true))
            }
        }
    }

    async fn refuse_revoked(
        &self,
        refused: &RefusedKey,
        key: &PublicKey,
        certificate: Option<&Certificate>,
    ) -> Result<(), HostKeyError> {
        if self.config.revoked_host_keys.is_empty() {
            return Ok(());
        }
        let (files, key) = (self.config.revoked_host_keys.clone(), key.clone());
        let certificate = certificate.cloned();
        let found = move || {
            revoked::find(&files, &key, certificate.as_ref()).map_err(HostKeyError::Revocation)
        };
        match task::blocking(found).await? {
            Some(at) => Err(HostKeyError::Revoked { key: refused.clone(), at }),
            None => Ok(()),
        }
    }

    fn is_large_enough(&self, key: &PublicKey) -> bool {
        key.key_data().rsa().is_none_or(|rsa| rsa.key_size() >= self.min_rsa_bits.max(MIN_RSA))
    }

    /// Whether the key is recorded, and if so, whether the server is trusted to announce further keys.
    async fn on_record(
        &self,
        refused: &RefusedKey,
        key: &PublicKey,
        output: &CommandOutput,
    ) -> Result<Option<Updates>, HostKeyError> {
        let known = self.read(output).await?;
        if !known.broken.is_empty() && !self.told_broken_lines.swap(true, Ordering::Relaxed) {
            for at in &known.broken {
                tracing::warn!(%at, "a line of known_hosts cannot be read and does not count");
            }
        }
        match known.verdict(&self.host, key) {
            Verdict::Known(at) => {
                tracing::debug!(%at, "the host key is on record");
                let is_in = |files: &[PathBuf]| files.iter().any(|file| **file == *at.file);
                let of_user = is_in(&self.config.user_known_hosts_files)
                    && !is_in(&self.config.global_known_hosts_files);
                let explicit = of_user && known.is_under_own_name(&self.host, key);
                Ok(Some(if explicit { Updates::Followed } else { Updates::Ignored }))
            }
            Verdict::Unknown => Ok(None),
            Verdict::Changed(recorded) => {
                Err(HostKeyError::Changed { key: refused.clone(), recorded })
            }
            Verdict::Revoked(at) => {
                Err(HostKeyError::Revoked { key: refused.clone(), at: at.to_string() })
            }
        }
    }

    /// The output of `KnownHostsCommand`, if configured.
    async fn ask_command(
        &self,
        purpose: &str,
        key: Option<&PublicKey>,
    ) -> Result<CommandOutput, HostKeyError> {
        match &self.config.known_hosts_command {
            Some(words) => command::run(words, self.host.as_str(), purpose, key).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read(&self, output: &CommandOutput) -> Result<KnownHosts, HostKeyError> {
        let files: Vec<_> = self
            .config
            .user_known_hosts_files
            .iter()
            .chain(&self.config.global_known_hosts_files)
            .cloned()
            .collect();
        let mut known = task::blocking(move || KnownHosts::read(&files)).await?;
        if let Some(output) = output {
            known.push(Path::new(COMMAND), output);
        }
        Ok(known)
    }

    /// Records the key; `false` if that is not possible, which does not make the key wrong.
    async fn record(
        &self,
        refused: &RefusedKey,
        key: &PublicKey,
        output: &CommandOutput,
    ) -> Result<bool, HostKeyError> {
        let Some(file) = self.config.user_known_hosts_files.first().cloned() else {
            return Ok(false);
        };
        let (host, hashing) = (self.host.clone(), self.config.hash_known_hosts);
        let (new_key, path) = (key.clone(), file.clone());
        match task::blocking(move || known_hosts::add(&path, &host, &new_key, hashing)).await {
            Ok(()) => {
                // As in `ssh`, a file that keeps nothing (/dev/null) is no record.
                let kept = file.metadata().is_ok_and(|m| m.is_file());
                if kept {
                    tracing::info!(host = refused.host, file = %file.display(), "host key put on record");
                }
                Ok(kept)
            }
            // Another process has meanwhile recorded another key.
            Err(KnownHostsError::Conflict(_)) => {
                Ok(self.on_record(refused, key, output).await?.is_some())
            }
            Err(error) => {
                tracing::warn!(%error, "the host key is not put on record");
                Ok(false)
            }
        }
    }

    /// The server's name for messages.
    fn shown_host(&self) -> String {
        error::printable_host(self.host.as_str())
    }
}

/// Whether both are of the same type; RSA keys are one type, whatever the hash of their signatures.
pub(crate) fn same_type(a: &Algorithm, b: &Algorithm) -> bool {
    matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || a == b
}

/// The output of `KnownHostsCommand`.
type CommandOutput = Option<Vec<u8>>;

/// The name shown instead of a file for lines of `KnownHostsCommand`.
const COMMAND: &str = "KnownHostsCommand";
