//! Tries keys, one after another.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::agent::{Agent, AgentError};
use super::candidates::{self, Candidate, check_type};
use super::key_file::{self, KeyFile, KeyProblem, Secret};
use super::{ANSWER_LIMIT, Attendance, AuthError, Login, Outcome, RsaSignatures, within};
use crate::printable::{Lines, printable};
use crate::ssh::client_config::{IdentityAgent, IdentityOrigin};
use crate::ssh::prompt::PromptError;

impl<H: Handler> Login<'_, H> {
    /// Looks for keys in the files and the agent, once a login.
    pub(super) async fn find_candidates(&mut self) {
        if self.candidates.is_some() {
            return;
        }
        let files = self.load_files().await;
        let keys = self.ask_agent().await;
        self.candidates = Some(candidates::in_order(keys, files, self.config.identities_only));
    }

    async fn load_files(&mut self) -> Vec<KeyFile> {
        let named = self.config.identity_files.clone();
        let load = move || -> Vec<_> {
            named.into_iter().map(|f| (key_file::load(&f.path), f.origin)).collect()
        };
        // It fails only when the program ends.
        let loaded = spawn_blocking(load).await.unwrap_or_default();
        let mut out = Vec::new();
        for (mut file, origin) in loaded {
            match (&file.secret, origin) {
                (Secret::Locked(_), _) => {
                    if let Some(key) = self.credentials.unlocked(&file.path, file.public.as_ref()) {
                        file.secret = Secret::Clear(key);
                    }
                }
                (Secret::Missing, IdentityOrigin::Named) if file.public.is_none() => {
                    self.warn(&file.path, "does not exist");
                }
                (Secret::Unusable(why), _) => self.warn(&file.path, &why.clone()),
                (Secret::Clear(_) | Secret::Missing, _) => {}
            }
            out.push(file);
        }
        out
    }

    async fn ask_agent(&mut self) -> Vec<AgentIdentity> {
        let IdentityAgent::Socket(socket) = &self.config.identity_agent else { return Vec::new() };
        match Agent::connect(socket, self.handle.agent_session_binding()).await {
            Ok((agent, keys)) => {
                self.agent = Some(agent);
                keys
            }
            Err(error) => {
                let socket = printable(&socket.to_string_lossy(), 200, Lines::One);
                self.note(&format!("agent ({socket})"), &error.to_string());
                Vec::new()
            }
        }
    }

    fn warn(&mut self, path: &Path, why: &str) {
        let file = printable(&path.to_string_lossy(), 200, Lines::One);
        let why = printable(why, 200, Lines::One);
        if self.credentials.first_warning(path) {
            tracing::warn!("identity file {file} is not used: it {why}");
        }
        self.note(&format!("publickey (from {file})"), &why);
    }

    /// Tries the next key; without any left it does nothing.
    pub(super) async fn try_next_key(&mut self) -> Result<Outcome, AuthError> {
        let next = self.candidates.as_mut().and_then(std::collections::VecDeque::pop_front);
        let Some(candidate) = next else { return Ok(Outcome::GoOn) };
        let what = candidate.describe();
        if let Err(why) = check_type(&candidate) {
            self.note(&what, why);
            return Ok(Outcome::GoOn);
        }
        let hash = match candidate.public().map(|key| key.algorithm()) {
            Some(Algorithm::Rsa { .. }) => match self.rsa_hash().await? {
                None => {
                    self.note(&what, "the server knows only SHA-1 signatures of RSA keys");
                    return Ok(Outcome::GoOn);
                }
                hash => hash,
            },
            _ => None,
        };
        match candidate {
            Candidate::Agent { identity, .. } => self.try_agent_key(&what, *identity, hash).await,
            Candidate::File(file) => self.try_file(&what, file, hash).await,
        }
    }

    async fn try_agent_key(
        &mut self,
        what: &str,
        identity: AgentIdentity,
        hash: Option<HashAlg>,
    ) -> Result<Outcome, AuthError> {
        let Some(agent) = &mut self.agent else {
            self.note(what, "the agent has stopped answering");
            return Ok(Outcome::GoOn);
        };
        let touched = is_security_key(&identity.public_key());
        let user = &self.config.user;
        // The agent keeps to a limit of its own; the server's comes before and after it.
        let limit = ANSWER_LIMIT * 2;
        let answer = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                within(limit, self.handle.authenticate_publickey_with(user, key, hash, agent)).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let request =
                    self.handle.authenticate_certificate_with(user, certificate, hash, agent);
                within(limit, request).await
            }
        };
        match answer? {
            Ok(answer) => {
                let outcome = self.judge(what, Ok(answer))?;
                if touched && matches!(outcome, Outcome::Success(_)) {
                    self.attendance = Attendance::Person;
                }
                Ok(outcome)
            }
            Err(AgentError::Send(_)) => Err(self.disconnected()),
            Err(_) if self.handle.is_closed() => Err(self.disconnected()),
            Err(error) => {
                if let AgentError::TimedOut(_) = error {
                    self.agent = None;
                }
                self.note(what, &error.to_string());
                Ok(Outcome::GoOn)
            }
        }
    }

    async fn try_file(
        &mut self,
        what: &str,
        file: KeyFile,
        hash: Option<HashAlg>,
    ) -> Result<Outcome, AuthError> {
        let key = match file.secret {
            Secret::Clear(key) => key,
            Secret::Locked(text) => {
                // Nobody types a passphrase for a key that the server does not want.
                if let Some(public) = file.public
                    && !self.is_wanted(what, public, hash).await?
                {
                    return Ok(Outcome::GoOn);
                }
                match self.unlock(what, &file.path, text).await? {
                    Some(key) => key,
                    None => return Ok(Outcome::GoOn),
                }
            }
            Secret::Missing | Secret::Unusable(_) => return Ok(Outcome::GoOn),
        };
        // Only after unlocking is the type of an old PEM key known.
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } if hash.is_none() => self.rsa_hash().await?,
            _ => hash,
        };
        if key.algorithm() == (Algorithm::Rsa { hash: None }) && hash.is_none() {
            self.note(what, "the server knows only SHA-1 signatures of RSA keys");
            return Ok(Outcome::GoOn);
        }
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let request = self.handle.authenticate_publickey(&self.config.user, key);
        let answer = within(ANSWER_LIMIT, request).await?;
        self.judge(what, answer)
    }

    /// Whether the server would take a signature of this key (RFC 4252 section 7).
    async fn is_wanted(
        &mut self,
        what: &str,
        key: PublicKey,
        hash: Option<HashAlg>,
    ) -> Result<bool, AuthError> {
        let user = &self.config.user;
        let mut asking = OnlyAsking;
        let request = self.handle.authenticate_publickey_with(user, key, hash, &mut asking);
        match within(ANSWER_LIMIT, request).await? {
            Err(Asked::Wanted) => Ok(true),
            Err(Asked::Gone) => Err(self.disconnected()),
            // Without a signature there is no success, whatever the server says.
            Ok(AuthResult::Success) => {
                Err(AuthError::Failed("the server accepted an unsigned key".to_owned()))
            }
            Ok(refusal) => {
                self.judge(what, Ok(refusal))?;
                Ok(false)
            }
        }
    }

    /// Asks for the passphrase, up to three times; an empty one means: not this key.
    async fn unlock(
        &mut self,
        what: &str,
        path: &Path,
        text: Zeroizing<String>,
    ) -> Result<Option<Arc<PrivateKey>>, AuthError> {
        let shown = printable(&path.to_string_lossy(), 200, Lines::One);
        let text = Arc::new(text);
        let mut question = format!("Passphrase of the key {shown}: ");
        for _ in 0..MAX_PASSPHRASES {
            let passphrase = match self.prompter.secret(&question).await {
                Ok(passphrase) if passphrase.is_empty() => break,
                Ok(passphrase) => passphrase,
                Err(PromptError::Nobody) => {
                    self.person_missing = true;
                    self.note(what, "has a passphrase, and nobody can be asked for it");
                    return Ok(None);
                }
                Err(PromptError::Cancelled) => break,
                Err(PromptError::Failed(error)) => {
                    self.note(what, &format!("asking for its passphrase failed: {error}"));
                    return Ok(None);
                }
            };
            let text = Arc::clone(&text);
            // Deriving the key takes a good part of a second, on purpose.
            let decoded = spawn_blocking(move || key_file::decode(&text, Some(&passphrase))).await;
            match decoded {
                Ok(Ok(key)) => {
                    let key = Arc::new(key);
                    self.credentials.keep(path, Arc::clone(&key));
                    return Ok(Some(key));
                }
                Ok(Err(KeyProblem::Locked)) => {
                    question = format!("That was not it. Passphrase of the key {shown}: ");
                }
                Ok(Err(KeyProblem::Unreadable(why))) => {
                    self.note(what, &printable(&why, 200, Lines::One));
                    return Ok(None);
                }
                // Only when the program ends.
                Err(_) => return Ok(None),
            }
        }
        self.note(what, "its passphrase was not given");
        Ok(None)
    }

    /// The hash that RSA keys sign with for this server; `None` when it knows SHA-1 only.
    async fn rsa_hash(&mut self) -> Result<Option<HashAlg>, AuthError> {
        if self.rsa_signatures == RsaSignatures::NotAsked {
            let told = within(ANSWER_LIMIT, self.handle.best_supported_rsa_hash()).await?;
            self.rsa_signatures = match told {
                Ok(Some(Some(hash))) => RsaSignatures::With(hash),
                Ok(Some(None)) => RsaSignatures::Sha1Only,
                // It did not say (RFC 8308); RFC 8332 section 3 recommends this one.
                Ok(None) => RsaSignatures::With(HashAlg::Sha256),
                Err(error) => return Err(self.broken(&error)),
            };
        }
        match self.rsa_signatures {
            RsaSignatures::With(hash) => Ok(Some(hash)),
            RsaSignatures::Sha1Only | RsaSignatures::NotAsked => Ok(None),
        }
    }
}

/// Signs nothing: it only finds out whether a signature is wanted.
struct OnlyAsking;

#[derive(Debug)]
enum Asked {
    /// The server wants a signature.
    Wanted,
    /// The session is gone.
    Gone,
}

impl From<russh::SendError> for Asked {
    fn from(_: russh::SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for OnlyAsking {
    type Error = Asked;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash_alg: Option<HashAlg>,
        _to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Asked> {
        Err(Asked::Wanted)
    }
}

/// Whether somebody must touch it.
fn is_security_key(key: &PublicKey) -> bool {
    matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

/// How often a passphrase is asked for, as `ssh` does by default (`NumberOfPasswordPrompts`).
const MAX_PASSPHRASES: usize = 3;
