//! Looks for keys: in the agent, in files, and beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::Handler;
use russh::keys::agent::AgentIdentity;

use super::agent::{Agent, AgentError};
use super::candidates::{self, Candidate, Candidates, SignedBy};
use super::key_file::{self, KeyFile, Secret};
use super::offer::Offer;
use super::{ANSWER_LIMIT, AuthError, KeyOrder, Login, RsaSignatures, within};
use crate::openssh::client_config::{IdentityAgent, IdentityOrigin};
use crate::printable::{self, Lines, printable};
use crate::task;

impl<H: Handler> Login<'_, H> {
    /// Looks for keys in the files and the agent, once a login.
    pub(super) async fn find_candidates(&mut self) -> Result<(), AuthError> {
        if self.candidates.is_some() {
            return Ok(());
        }
        let (files, certificates) = self.load_files().await;
        let keys = self.ask_agent().await;
        let only = self.config.auth.identities_only;
        let found = candidates::in_order(&keys, &files, &certificates, only);
        let mut usable = Vec::with_capacity(found.len());
        for candidate in found {
            match self.is_usable(&candidate).await? {
                Ok(()) => usable.push(candidate),
                Err(why) => self.note(&candidate.describe(), &why),
            }
        }
        if matches!(self.credentials.order(), KeyOrder::NamedFirst { .. }) {
            candidates::named_first(&mut usable);
        }
        self.candidates = Some(Candidates::new(usable));
        Ok(())
    }

    /// Whether there is a point in showing it to the server; the inner error says why not.
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

    /// What the server takes of RSA keys; it is asked only when there is one.
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

    async fn load_files(&mut self) -> (Vec<Arc<KeyFile>>, Vec<(PathBuf, Offer)>) {
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
        (files, usable)
    }

    /// Puts in what was unlocked before, and says what is wrong with the file.
    fn take_file(&mut self, mut file: KeyFile) -> KeyFile {
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

    async fn ask_agent(&mut self) -> Vec<AgentIdentity> {
        let IdentityAgent::Socket(socket) = &self.config.auth.identity_agent else {
            return Vec::new();
        };
        match Agent::connect(socket, self.handle.agent_session_binding()).await {
            Ok((agent, keys)) => {
                self.agent = Some(agent);
                keys
            }
            Err(error) => {
                self.agent_failed(&error);
                Vec::new()
            }
        }
    }

    /// Takes note of an agent that does not do its work; one that hangs is worth a warning.
    pub(super) fn agent_failed(&mut self, error: &AgentError) {
        let IdentityAgent::Socket(socket) = &self.config.auth.identity_agent else { return };
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
