//! Tries keys, one after another.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use russh::client::{AuthResult, Handler};
use russh::keys::agent::{AgentIdentity, Constraint};
use russh::keys::{HashAlg, PrivateKey};
use zeroize::Zeroizing;

use super::agent::{Agent, AgentError, AgentSigner};
use super::candidates::{Candidate, Candidates, SignedBy};
use super::key_file::{self, KeyFile, KeyProblem, Secret};
use super::offer::Offer;
use super::signers::{Asked, FileSigner, FileSignerError, OnlyAsking};
use super::{ANSWER_LIMIT, AuthError, Login, LoginKind, Outcome, within};
use crate::openssh::client_config::{AddKeysToAgent, Switch};
use crate::openssh::prompt::PromptError;
use crate::printable::{self, Lines, printable};
use crate::task;

impl<H: Handler> Login<'_, H> {
    /// Tries the next key, if any is left.
    pub(super) async fn try_next_key(&mut self) -> Result<Outcome, AuthError> {
        let next = self.candidates.as_mut().and_then(Candidates::next);
        let Some(candidate) = next else { return Ok(Outcome::Continue) };
        let outcome = match candidate.signer.clone() {
            SignedBy::Agent(identity) => self.try_agent_key(&candidate, &identity).await,
            SignedBy::File(file) => self.try_file(&candidate, &file).await,
            SignedBy::Nobody => Ok(Outcome::Continue),
        }?;
        if let (Outcome::Continue, Some(candidates)) = (&outcome, &mut self.candidates) {
            candidates.refused.push(candidate);
        }
        Ok(outcome)
    }

    async fn try_agent_key(
        &mut self,
        candidate: &Candidate,
        identity: &AgentIdentity,
    ) -> Result<Outcome, AuthError> {
        let what = candidate.describe();
        let offer = candidate.offer.clone().unwrap_or_else(|| identity.into());
        let hash = match self.hash_for(&offer).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(self.leave_out(&what, &why)),
        };
        let Some(mut agent) = self.agent.take() else {
            return Ok(self.leave_out(&what, "the agent has stopped answering"));
        };
        if offer.is_security_key() {
            tracing::info!("the security key may have to be touched: {what}");
        }
        let prompter = self.prompter.clone();
        let mut signer = AgentSigner { agent: &mut agent, identity, prompter: &prompter };
        // The agent has its own limit; the server's limit applies before and after it.
        let answer = within(ANSWER_LIMIT * 2, self.show(&offer, hash, &mut signer)).await?;
        let hangs = matches!(answer, Err(AgentError::TimedOut(_)));
        if !hangs {
            self.agent = Some(agent);
        }
        match answer {
            Ok(answer) => {
                let outcome = self.take_key_answer(&what, &offer, answer)?;
                if offer.is_security_key() && !matches!(outcome, Outcome::Continue) {
                    self.kind = LoginKind::Interactive;
                }
                Ok(outcome)
            }
            Err(AgentError::Gone) => Err(self.disconnected()),
            Err(_) if self.handle.is_closed() => Err(self.disconnected()),
            Err(error @ AgentError::Refused) if offer.is_security_key() => {
                let why = format!("{error}; was the security key there and touched?");
                Ok(self.leave_out(&what, &why))
            }
            Err(error) => {
                if hangs {
                    self.agent_failed(&error);
                }
                Ok(self.leave_out(&what, &error.to_string()))
            }
        }
    }

    async fn try_file(
        &mut self,
        candidate: &Candidate,
        file: &KeyFile,
    ) -> Result<Outcome, AuthError> {
        let what = candidate.describe();
        let key = match self.private_key(&what, candidate.offer.as_ref(), file).await? {
            Ok(key) => key,
            Err(outcome) => return Ok(outcome),
        };
        // The type of an old PEM key is known only after it is unlocked.
        let offer = match &candidate.offer {
            Some(offer) => offer.clone(),
            None => Offer::Key(key.public_key().clone()),
        };
        if *offer.key() != *key.public_key().key_data() {
            return Ok(self.leave_out(&what, "the public key beside it belongs to another key"));
        }
        let hash = match self.hash_for(&offer).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(self.leave_out(&what, &why)),
        };
        let mut signer = FileSigner(Arc::clone(&key));
        match within(ANSWER_LIMIT, self.show(&offer, hash, &mut signer)).await? {
            Ok(answer) => {
                let outcome = self.take_key_answer(&what, &offer, answer)?;
                if outcome != Outcome::Continue {
                    self.add_to_agent(&file.path, &key).await;
                }
                Ok(outcome)
            }
            Err(FileSignerError::Gone) => Err(self.disconnected()),
            Err(error) => Ok(self.leave_out(&what, &error.to_string())),
        }
    }

    /// The unlocked private key of a file; the inner error is the outcome without it.
    async fn private_key(
        &mut self,
        what: &str,
        offer: Option<&Offer>,
        file: &KeyFile,
    ) -> Result<Result<Arc<PrivateKey>, Outcome>, AuthError> {
        let text = match &file.secret {
            Secret::Clear(key) => return Ok(Ok(Arc::clone(key))),
            Secret::Missing | Secret::Unusable(_) => return Ok(Err(Outcome::Continue)),
            Secret::Locked(text) => Arc::clone(text),
        };
        // The key may have just been unlocked for its certificate.
        if let Some(key) = self.credentials.unlocked(&file.path, offer.map(Offer::key)) {
            return Ok(Ok(Arc::new(key)));
        }
        // The passphrase is asked for only if the server accepts the key.
        if let Some(offer) = offer {
            let hash = self.hash_for(offer).await?.ok().flatten();
            if !self.is_wanted(what, offer, hash).await? {
                return Ok(Err(Outcome::Continue));
            }
        }
        Ok(self.unlock(what, &file.path, text).await.ok_or(Outcome::Continue))
    }

    /// Offers a key to the server; if the server requests a signature, `signer` makes it.
    async fn show<S: russh::Signer>(
        &mut self,
        offer: &Offer,
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<AuthResult, S::Error> {
        let user = &self.config.user;
        match offer {
            Offer::Key(key) => {
                self.handle.authenticate_publickey_with(user, key.clone(), hash, signer).await
            }
            Offer::Certificate(certificate) => {
                let certificate = (**certificate).clone();
                self.handle.authenticate_certificate_with(user, certificate, hash, signer).await
            }
        }
    }

    /// Whether the server would accept a signature by this key (RFC 4252 section 7).
    async fn is_wanted(
        &mut self,
        what: &str,
        offer: &Offer,
        hash: Option<HashAlg>,
    ) -> Result<bool, AuthError> {
        match within(ANSWER_LIMIT, self.show(offer, hash, &mut OnlyAsking)).await? {
            Err(Asked::Wanted) => Ok(true),
            Err(Asked::Gone) => Err(self.disconnected()),
            // Success without a signature is impossible, whatever the server says.
            Ok(AuthResult::Success) => {
                Err(AuthError::Failed("the server accepted an unsigned key".to_owned()))
            }
            Ok(refusal) => {
                self.take_key_answer(what, offer, refusal)?;
                Ok(false)
            }
        }
    }

    /// Records the server's answer, and what may be wrong with a certificate.
    fn take_key_answer(
        &mut self,
        what: &str,
        offer: &Offer,
        answer: AuthResult,
    ) -> Result<Outcome, AuthError> {
        let before = self.tried.len();
        let outcome = self.take_answer(what, Ok(answer))?;
        let refusal = self.tried.get_mut(before..).and_then(<[_]>::last_mut);
        if let Some(last) = refusal
            && let Some(doubts) = offer.doubts(&self.config.user, SystemTime::now())
        {
            last.why = format!("{} ({doubts})", last.why);
        }
        Ok(outcome)
    }

    async fn hash_for(
        &mut self,
        offer: &Offer,
    ) -> Result<Result<Option<HashAlg>, String>, AuthError> {
        let server = self.rsa_signatures_for(offer).await?;
        Ok(offer.signature(self.config, server))
    }

    /// Adds a file's key to the agent according to `AddKeysToAgent`, once per run. The result does not matter
    /// to the login, as in `ssh`.
    async fn add_to_agent(&mut self, path: &Path, key: &PrivateKey) {
        let Some(socket) = &self.config.auth.identity_agent else { return };
        let (confirm, lifetime) = match self.config.auth.add_keys_to_agent {
            AddKeysToAgent::No => return,
            AddKeysToAgent::Ask => (Switch::Off, None),
            AddKeysToAgent::Yes { confirm, lifetime } => (confirm, lifetime),
        };
        if !self.credentials.first_offered(path) {
            return;
        }
        let shown = printable::path(path);
        if self.config.auth.add_keys_to_agent == AddKeysToAgent::Ask {
            let comment = printable(key.comment().as_ref(), 80, Lines::One);
            let question = format!("Add key {shown} ({comment}) to agent? ");
            let answer = self.prompter.confirm(&question).await;
            if !answer.is_ok_and(|answer| answer.trim().eq_ignore_ascii_case("yes")) {
                return;
            }
        }
        let mut constraints = Vec::new();
        constraints.extend(lifetime.map(|seconds| Constraint::KeyLifetime { seconds }));
        constraints.extend(confirm.is_on().then_some(Constraint::Confirm));
        match Agent::add(socket, key, &constraints).await {
            Ok(()) => tracing::debug!("the agent has the key {shown} now"),
            Err(error) => tracing::debug!(%error, "the agent does not take the key {shown}"),
        }
    }

    fn leave_out(&mut self, what: &str, why: &str) -> Outcome {
        self.note(what, why);
        Outcome::Continue
    }

    /// Asks for the passphrase, as often as for a password; an empty one skips the key.
    async fn unlock(
        &mut self,
        what: &str,
        path: &Path,
        text: Arc<Zeroizing<String>>,
    ) -> Option<Arc<PrivateKey>> {
        let shown = printable::path(path);
        // Scripts that answer wait for `ssh`'s wording.
        let question = format!("Enter passphrase for key '{shown}': ");
        for _ in 0..self.config.auth.number_of_password_prompts {
            let passphrase = match self.prompter.secret(&question).await {
                Ok(passphrase) if passphrase.is_empty() => break,
                Ok(passphrase) => passphrase,
                Err(PromptError::Nobody) => {
                    self.person_missing = true;
                    self.note(what, "has a passphrase, and nobody can be asked for it");
                    return None;
                }
                Err(PromptError::Cancelled) => break,
                Err(PromptError::Failed(error)) => {
                    self.note(what, &format!("asking for its passphrase failed: {error}"));
                    return None;
                }
            };
            let text = Arc::clone(&text);
            // Key derivation deliberately takes a large part of a second.
            match task::blocking(move || key_file::decode(&text, Some(&passphrase))).await {
                Ok(key) => {
                    self.credentials.keep(path, &key);
                    return Some(Arc::new(key));
                }
                Err(KeyProblem::Locked) => {
                    tracing::info!("that was not the passphrase of {shown}");
                }
                Err(KeyProblem::Unreadable(why)) => {
                    self.note(what, &printable(&why, 200, Lines::One));
                    return None;
                }
            }
        }
        self.note(what, "its passphrase was not given");
        None
    }
}
