//! Updates the record with the keys that a server announces (`UpdateHostKeys`).

use std::sync::atomic::Ordering;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use tracing::{debug, info, warn};

use super::HostKeyPolicy;
use super::proof::ProofError;
use crate::openssh::client_config::HOST_KEYS;
use crate::openssh::client_config::UpdateHostKeys;
use crate::ssh::trust::known_hosts::{self, Changes, KnownHosts, KnownHostsError, Obstacle, Plan};
use crate::task;

/// Why the record is not updated.
#[derive(Debug, thiserror::Error)]
enum NotUpdated {
    /// A change could damage the record.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// The server did not prove that it holds the keys.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The record cannot be read or written.
    #[error(transparent)]
    Record(#[from] KnownHostsError),
    /// A key was announced twice, which no honest server does.
    #[error("one of them is listed twice")]
    Twice,
    /// None of the keys is of an accepted type, which is no reason to remove the recorded ones.
    #[error("none of them is of a type that is taken here")]
    Nothing,
}

impl HostKeyPolicy {
    /// Follows the announcement of a server whose host key was trusted explicitly: adds new keys once `prove`
    /// confirms them, and removes keys that the server no longer has. On any obstacle, the record is unchanged.
    pub(crate) async fn follow(
        &self,
        announced: Vec<PublicKey>,
        prove: impl AsyncFnOnce(&[PublicKey]) -> Result<(), ProofError>,
    ) {
        match self.try_follow(announced, prove).await {
            Ok(changes) if changes == Changes::default() => {
                debug!("the announced host keys leave the record as it is");
            }
            Ok(changes) => {
                let (host, Changes { added, removed }) = (self.shown_host(), changes);
                info!(host, added, removed, "the record follows the announced host keys");
            }
            Err(NotUpdated::Obstacle(obstacle)) => {
                debug!(%obstacle, "the announced host keys are not recorded");
            }
            Err(error) => warn!(%error, "the announced host keys are not recorded"),
        }
    }

    async fn try_follow(
        &self,
        announced: Vec<PublicKey>,
        prove: impl AsyncFnOnce(&[PublicKey]) -> Result<(), ProofError>,
    ) -> Result<Changes, NotUpdated> {
        let wanted = match self.config.update_host_keys {
            UpdateHostKeys::Yes => true,
            UpdateHostKeys::No => false,
            UpdateHostKeys::Ask => self.prompter.can_ask(),
        };
        if !wanted
            || self.config.user_known_hosts_files.is_empty()
            || self.update_declined.load(Ordering::Relaxed)
        {
            return Ok(Changes::default());
        }
        let keys = self.usable(announced)?;
        // One session at a time: the others find nothing to do, or the person's answer.
        let _turn = self.accepted.lock().await;
        let plan = self.plan(&keys).await?;
        if plan == Plan::default() {
            return Ok(Changes::default());
        }
        if !plan.new.is_empty() {
            prove(&plan.new).await?;
        }
        if self.config.update_host_keys == UpdateHostKeys::Ask
            && !self.is_update_wanted(&plan).await
        {
            self.update_declined.store(true, Ordering::Relaxed);
            return Ok(Changes::default());
        }
        log_changes(&plan);
        let (files, host, hashing) = (
            self.config.user_known_hosts_files.clone(),
            self.host.clone(),
            self.config.hash_known_hosts,
        );
        Ok(task::blocking(move || known_hosts::update(&files, &host, &keys, hashing)).await?)
    }

    /// The announced keys that are usable as host keys here.
    fn usable(&self, announced: Vec<PublicKey>) -> Result<Vec<PublicKey>, NotUpdated> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for key in announced {
            let offered = HOST_KEYS.iter().any(|a| super::same_type(a, &key.algorithm()));
            if !offered || !self.is_taken(&key) || !self.is_large_enough(&key) {
                continue;
            }
            if keys.iter().any(|k| k.key_data() == key.key_data()) {
                return Err(NotUpdated::Twice);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(NotUpdated::Nothing) } else { Ok(keys) }
    }

    /// Whether `HostKeyAlgorithms` includes the type of a key.
    fn is_taken(&self, key: &PublicKey) -> bool {
        let Some(types) = &self.types else { return true };
        let same = |algorithm: &&Algorithm| super::same_type(algorithm, &key.algorithm());
        HOST_KEYS.iter().filter(same).any(|a| types.names.iter().any(|name| name == a.as_str()))
    }

    async fn plan(&self, keys: &[PublicKey]) -> Result<Plan, NotUpdated> {
        let (files, host, announced) =
            (self.config.user_known_hosts_files.clone(), self.host.clone(), keys.to_vec());
        let plan = move || Ok(KnownHosts::read(&files)?.plan(&host, &announced)?);
        task::blocking(plan).await
    }

    async fn is_update_wanted(&self, plan: &Plan) -> bool {
        let new = plan.new.iter().map(|key| format!("  new:  {}\n", describe(key)));
        let gone = plan.obsolete.iter();
        let gone = gone.map(|key| format!("  gone: {} {}\n", key.algorithm, key.fingerprint));
        let keys: String = new.chain(gone).collect();
        let mut question = format!(
            "The server '{}' has changed its host keys.\n{keys}Update known_hosts (yes or no)? ",
            self.shown_host()
        );
        for _ in 0..MAX_QUESTIONS {
            let Ok(answer) = self.prompter.line(&question).await else { return false };
            match answer.trim() {
                yes if yes.eq_ignore_ascii_case("yes") => return true,
                no if no.eq_ignore_ascii_case("no") => return false,
                _ => "Please type 'yes' or 'no': ".clone_into(&mut question),
            }
        }
        false
    }
}

fn log_changes(plan: &Plan) {
    for key in &plan.new {
        debug!("learned the host key {}", describe(key));
    }
    for key in &plan.obsolete {
        debug!("took out the host key {} {}", key.algorithm, key.fingerprint);
    }
}

fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// How often the question is repeated after an answer that is neither yes nor no, as in `ssh`.
const MAX_QUESTIONS: usize = 3;
