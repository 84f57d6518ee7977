//! Finds keys: in the agent, in files, and beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::Handler;
use russh::keys::agent::AgentIdentity;
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::agent::{Agent, AgentError, Listed};
use super::candidates::{self, Candidate, Candidates, SignedBy};
use super::key_file::{self, KeyFile, Secret};
use super::offer::Offer;
use super::{ANSWER_LIMIT, AuthError, KeyOrder, Login, RsaSignatures, within};
use crate::openssh::client_config::IdentityOrigin;
use crate::printable::{self, Lines, printable};
use crate::task;

/// An agent that has not listed its keys yet, such as one that asks a person to unlock it first.
pub(super) struct LateAgent {
    listing: AbortOnDropHandle<Listed>,
    found: Found,
    /// The keys tried without it.
    tried: Vec<Offer>,
}

/// The contents of the files.
#[derive(Default)]
struct Found {
    files: Vec<Arc<KeyFile>>,
    certificates: Vec<(PathBuf, Offer)>,
}

impl<H: Handler> Login<'_, H> {
    /// Finds keys in the files and the agent, once per login. If the agent does not answer within 5 s, only
    /// keys that need neither it nor a passphrase are used for now.
    pub(super) async fn find_candidates(&mut self) -> Result<(), AuthError> {
        if self.candidates.is_some() {
            return Ok(());
        }
        let found = self.load_files().await;
        let (keys, late) = match self.list_agent() {
            None => (Vec::new(), None),
            Some(mut listing) => match timeout(LIST_PATIENCE, &mut listing).await {
                Ok(listed) => (self.take_agent(listed), None),
                Err(_) => (Vec::new(), Some(listing)),
            },
        };
        let mut all = self.in_order(&keys, &found);
        if let Some(listing) = late {
            self.agent_is_late();
            all.retain(Candidate::is_unattended);
            let tried = all.iter().filter_map(|candidate| candidate.offer.clone()).collect();
            self.late = Some(LateAgent { listing, found, tried });
        }
        let left = self.usable(all).await?.into();
        self.candidates = Some(Candidates { left, ..Candidates::default() });
        Ok(())
    }

    /// Waits for a late agent's keys, for a minute in total, and adds the candidates that need it.
    pub(super) async fn wait_for_agent(&mut self) -> Result<(), AuthError> {
        let Some(LateAgent { listing, found, tried }) = self.late.take() else { return Ok(()) };
        if let Some(socket) = &self.config.auth.identity_agent {
            let shown = printable::path(socket);
            tracing::info!("waiting for the agent at {shown}, which may be asking somebody");
        }
        let prompter = self.prompter.clone();
        let _waiting = prompter.asked_elsewhere();
        let left = LIST_LIMIT.saturating_sub(LIST_PATIENCE);
        let keys = if let Ok(listed) = timeout(left, listing).await {
            self.take_agent(listed)
        } else {
            self.agent_failed(&AgentError::TimedOut(LIST_LIMIT));
            Vec::new()
        };
        let mut left = self.in_order(&keys, &found);
        let is_tried = |offer: &Offer| tried.iter().any(|tried| tried.is_same(offer));
        left.retain(|candidate| !candidate.offer.as_ref().is_some_and(is_tried));
        let left = self.usable(left).await?;
        self.candidates.get_or_insert_default().left.extend(left);
        Ok(())
    }

    fn in_order(&self, keys: &[AgentIdentity], found: &Found) -> Vec<Candidate> {
        let Found { files, certificates } = found;
        let mut all =
            candidates::in_order(keys, files, certificates, self.config.auth.identities_only);
        if matches!(self.credentials.order(), KeyOrder::NamedFirst { .. }) {
            candidates::named_first(&mut all);
        }
        all
    }

    /// The candidates that may be offered to the server; notes the reasons against the others.
    async fn usable(&mut self, all: Vec<Candidate>) -> Result<Vec<Candidate>, AuthError> {
        let mut usable = Vec::with_capacity(all.len());
        for candidate in all {
            match self.is_usable(&candidate).await? {
                Ok(()) => usable.push(candidate),
                Err(why) => self.note(&candidate.describe(), &why),
            }
        }
        Ok(usable)
    }

    /// Whether offering it to the server makes sense; the inner error is the reason against it.
    async fn is_usable(&mut self, candidate: &Candidate) -> Result<Result<(), String>, AuthError> {
        match (&candidate.signer, &candidate.offer) {
            (SignedBy::Nobody, _) => {
                return Ok(Err("its private key is in no identity file and not in the agent \
                               that is asked"
                    .to_owned()));
            }
            (SignedBy::File(_), Some(offer)) if offer.is_security_key() => {
                return Ok(Err(
                    "a security key is used through the agent only (ssh-add)".to_owned()
                ));
            }
            (SignedBy::File(_) | SignedBy::Agent(_), _) => {}
        }
        let Some(offer) = &candidate.offer else { return Ok(Ok(())) };
        let server = self.rsa_signatures_for(offer).await?;
        Ok(offer.signature(self.config, server).map(|_| ()))
    }

    /// The RSA signatures that the server accepts; it is asked only if there is an RSA key.
    pub(super) async fn rsa_signatures_for(
        &mut self,
        offer: &Offer,
    ) -> Result<RsaSignatures, AuthError> {
        if !offer.algorithm().is_rsa() {
            return Ok(RsaSignatures::Untold);
        }
        if let Some(known) = self.rsa_signatures {
            return Ok(known);
        }
        let answer = within(ANSWER_LIMIT, self.handle.best_supported_rsa_hash()).await?;
        let supported = match answer {
            Ok(Some(Some(hash))) => RsaSignatures::With(hash),
            Ok(Some(None)) => RsaSignatures::Sha1Only,
            Ok(None) => RsaSignatures::Untold,
            Err(error) => return Err(self.broken(&error)),
        };
        self.rsa_signatures = Some(supported);
        Ok(supported)
    }

    async fn load_files(&mut self) -> Found {
        let (named, certificates) =
            (self.config.auth.identity_files.clone(), self.config.auth.certificate_files.clone());
        let load = move || {
            let files: Vec<_> =
                named.into_iter().map(|file| key_file::load(&file.path, file.origin)).collect();
            let read = |path: PathBuf| (key_file::load_public(&path), path);
            (files, certificates.into_iter().map(read).collect::<Vec<_>>())
        };
        let (files, certificates) = task::blocking(load).await;
        let files = files.into_iter().map(|file| Arc::new(self.take_file(file))).collect();
        let mut usable = Vec::new();
        for (read, path) in certificates {
            match read {
                Ok(offer) if offer.is_user_certificate() => usable.push((path, offer)),
                Ok(_) => self.warn("certificate", &path, "it is not a certificate of a user"),
                Err(why) => self.warn("certificate", &path, &why),
            }
        }
        Found { files, certificates: usable }
    }

    /// Uses a previously unlocked key, and reports problems with the file. The certificate beside it counts only
    /// if no `CertificateFile` is configured, even a missing one, as in `ssh`.
    fn take_file(&mut self, mut file: KeyFile) -> KeyFile {
        if !self.config.auth.certificate_files.is_empty() {
            file.certificate = None;
        }
        match &file.secret {
            Secret::Locked(_) => {
                let public = file.public.as_ref().map(Offer::key);
                if let Some(key) = self.credentials.unlocked(&file.path, public) {
                    file.public.get_or_insert_with(|| Offer::Key(key.public_key().clone()));
                    file.secret = Secret::Clear(Arc::new(key));
                }
            }
            Secret::Missing if file.origin == IdentityOrigin::Named && file.public.is_none() => {
                self.warn("identity", &file.path, "it does not exist");
            }
            Secret::Unusable(why) => self.warn("identity", &file.path, why),
            Secret::Clear(_) | Secret::Missing => {}
        }
        file
    }

    /// Starts listing the agent's keys, if there is an agent.
    fn list_agent(&self) -> Option<AbortOnDropHandle<Listed>> {
        let socket = self.config.auth.identity_agent.clone()?;
        let binding = self.handle.agent_session_binding().cloned();
        Some(task::spawn(async move { Agent::connect(&socket, binding.as_ref()).await }))
    }

    fn agent_is_late(&self) {
        let Some(socket) = &self.config.auth.identity_agent else { return };
        if self.credentials.first_warning(socket) {
            let (shown, patience) = (printable::path(socket), LIST_PATIENCE.as_secs());
            tracing::warn!(
                "the agent at {shown} has not answered within {patience} s: keys that do not need it come first"
            );
        }
    }

    fn take_agent(&mut self, listed: Result<Listed, JoinError>) -> Vec<AgentIdentity> {
        match listed {
            Ok(Ok((agent, keys))) => {
                self.agent = Some(agent);
                return keys;
            }
            Ok(Err(error)) => self.agent_failed(&error),
            // The program is ending.
            Err(_) => {}
        }
        Vec::new()
    }

    /// Notes a failed agent; one that hangs deserves a warning.
    pub(super) fn agent_failed(&mut self, error: &AgentError) {
        let Some(socket) = &self.config.auth.identity_agent else { return };
        let shown = printable::path(socket);
        if !error.is_absence() && self.credentials.first_warning(socket) {
            tracing::warn!("the agent at {shown} is passed over: {error}");
        }
        self.note(&format!("agent ({shown})"), &error.to_string());
    }

    fn warn(&mut self, kind: &str, path: &Path, why: &str) {
        let file = printable::path(path);
        let why = printable(why, 200, Lines::One);
        if self.credentials.first_warning(path) {
            tracing::warn!("{kind} file {file} is not used: {why}");
        }
        self.note(&format!("publickey (from {file})"), &why);
    }
}

/// How long the login waits for the agent's keys.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// How long the agent may take to list its keys: as long as to sign, since it may ask a person for either.
const LIST_LIMIT: Duration = Duration::from_secs(60);
