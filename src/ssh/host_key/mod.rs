//! Whether a server is who it says it is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::client_config::{ClientConfig, StrictHostKeyChecking, Switch};
use super::known_hosts::{self, HostLabel, KnownHosts, KnownHostsError, Verdict};
use super::prompt::{PromptError, Prompter};

pub use error::{HostKeyError, RefusedKey};

mod error;
#[cfg(test)]
mod tests;

/// Decides about the host keys of one server. One value serves all its sessions, so that a person
/// is asked once.
#[derive(Debug)]
pub(super) struct HostKeyPolicy {
    host: HostLabel,
    user_files: Vec<PathBuf>,
    global_files: Vec<PathBuf>,
    checking: StrictHostKeyChecking,
    hashing: Switch,
    prompter: Prompter,
    /// Keys that a person accepted and that could not be put on record. Held while a person is
    /// asked.
    accepted: Mutex<Vec<KeyData>>,
    told_broken_lines: AtomicBool,
}

/// Why a host key is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostKeyVerdict {
    /// It is on record.
    Known,
    /// It was new and is on record now.
    Added,
    /// It was new and accepted, and could not be put on record; for this run it counts as known
    /// when a person accepted it.
    Unrecorded,
}

impl HostKeyPolicy {
    /// For the server of `config`, looked up under `HostKeyAlias` where there is one.
    pub(super) fn new(config: &ClientConfig, prompter: &Prompter) -> Self {
        let host = match &config.host_key_alias {
            Some(alias) => HostLabel::of_alias(alias),
            None => HostLabel::new(&config.host_name, config.port),
        };
        let prompter =
            if config.batch_mode.is_on() { Prompter::nobody() } else { prompter.clone() };
        Self {
            host,
            user_files: config.user_known_hosts_files.clone(),
            global_files: config.global_known_hosts_files.clone(),
            checking: config.strict_host_key_checking,
            hashing: config.hash_known_hosts,
            prompter,
            accepted: Mutex::default(),
            told_broken_lines: AtomicBool::new(false),
        }
    }

    /// Accepts the key or says why not. A new one may be asked about and put on record. The files
    /// are read each time, so that a correction counts for the next session.
    ///
    /// # Errors
    ///
    /// Every error is a refusal; its text is meant for the user as it stands.
    pub(super) async fn verify(&self, key: &PublicKey) -> Result<HostKeyVerdict, HostKeyError> {
        if self.is_on_record(key).await? {
            return Ok(HostKeyVerdict::Known);
        }
        let mut accepted = self.accepted.lock().await;
        // Another session may have asked meanwhile.
        if accepted.contains(key.key_data()) || self.is_on_record(key).await? {
            return Ok(HostKeyVerdict::Known);
        }
        match self.checking {
            StrictHostKeyChecking::Yes => {
                return Err(HostKeyError::UnknownAndStrict(self.refused(key)));
            }
            StrictHostKeyChecking::Ask => self.ask(key).await?,
            StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No => {}
        }
        if self.record(key).await? {
            return Ok(HostKeyVerdict::Added);
        }
        if self.checking == StrictHostKeyChecking::Ask {
            accepted.push(key.key_data().clone());
        }
        Ok(HostKeyVerdict::Unrecorded)
    }

    /// The types of host keys to offer, best first: those on record for the server, then the rest.
    /// Neither `ssh-rsa` with SHA-1 nor DSA is among them.
    pub(super) async fn preferred_key_algorithms(&self) -> Vec<Algorithm> {
        // What cannot be read is told by `verify`, which refuses then.
        let recorded = match self.read().await {
            Ok(known) => known.recorded_algorithms(&self.host),
            Err(_) => Vec::new(),
        };
        let is_recorded = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => recorded.contains(&Algorithm::Rsa { hash: None }),
            other => recorded.contains(other),
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = ALGORITHMS.into_iter().partition(is_recorded);
        first.extend(rest);
        first
    }

    async fn is_on_record(&self, key: &PublicKey) -> Result<bool, HostKeyError> {
        let known = self.read().await?;
        if !known.broken().is_empty() && !self.told_broken_lines.swap(true, Ordering::Relaxed) {
            for line in known.broken() {
                tracing::warn!(file = %line.file.display(), line = line.line,
                    "a line of known_hosts cannot be read and does not count");
            }
        }
        match known.verdict(&self.host, key) {
            Verdict::Known { file, line } => {
                tracing::debug!(file = %file.display(), line, "the host key is on record");
                Ok(true)
            }
            Verdict::Unknown => Ok(false),
            Verdict::Changed { recorded } => {
                Err(HostKeyError::Changed { key: self.refused(key), recorded })
            }
            Verdict::Revoked { file, line } => {
                Err(HostKeyError::Revoked { key: self.refused(key), file, line })
            }
        }
    }

    async fn read(&self) -> Result<KnownHosts, HostKeyError> {
        let files: Vec<_> = self.user_files.iter().chain(&self.global_files).cloned().collect();
        Ok(blocking(move || KnownHosts::read(&files)).await?)
    }

    async fn ask(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        let refused = || self.refused(key);
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let mut question = format!(
            "There is no host key on record for '{}'.\nIts {} key has the fingerprint {fingerprint}.\n\
             Is this the right server (yes, no, or the fingerprint)? ",
            refused().host,
            key.algorithm(),
        );
        for _ in 0..MAX_QUESTIONS {
            let answer = match self.prompter.confirm(&question).await {
                Ok(answer) => answer,
                Err(PromptError::Nobody) => {
                    return Err(HostKeyError::UnknownAndNobodyToAsk(refused()));
                }
                Err(PromptError::Cancelled) => return Err(HostKeyError::Declined(refused())),
                Err(PromptError::Failed(error)) => {
                    return Err(HostKeyError::Prompt { key: refused(), source: error });
                }
            };
            let answer = answer.trim();
            if answer.eq_ignore_ascii_case("yes") || answer == fingerprint {
                return Ok(());
            }
            if answer.eq_ignore_ascii_case("no") {
                break;
            }
            "Please type 'yes', 'no' or the fingerprint: ".clone_into(&mut question);
        }
        Err(HostKeyError::Declined(refused()))
    }

    /// Puts the key on record; `false` when that is not possible, which does not make it wrong.
    async fn record(&self, key: &PublicKey) -> Result<bool, HostKeyError> {
        let Some(file) = self.user_files.first().cloned() else { return Ok(false) };
        let (host, hashing) = (self.host.clone(), self.hashing);
        let (new_key, path) = (key.clone(), file.clone());
        match blocking(move || known_hosts::add(&path, &host, &new_key, hashing)).await {
            Ok(_) => {
                // As with `ssh`, a file that keeps nothing (/dev/null) is no record.
                let kept = file.metadata().is_ok_and(|m| m.is_file());
                if kept {
                    let host = self.refused(key).host;
                    tracing::info!(host, file = %file.display(), "host key put on record");
                }
                Ok(kept)
            }
            // Another process recorded another key between our look and now.
            Err(KnownHostsError::Conflict(_)) => self.is_on_record(key).await,
            Err(error) => {
                tracing::warn!(%error, "the host key is not put on record");
                Ok(false)
            }
        }
    }

    fn refused(&self, key: &PublicKey) -> RefusedKey {
        RefusedKey::new(self.host.as_str(), key)
    }
}

/// Does what waits for the file system outside of the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KnownHostsError> + Send + 'static,
) -> Result<T, KnownHostsError> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(KnownHostsError::ShuttingDown),
        },
    }
}

/// How often an answer that is neither yes nor no nor the fingerprint is asked for again.
const MAX_QUESTIONS: usize = 5;

/// The types of host keys that we take, best first.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];
