//! Logs in, in the order and by the rules of OpenSSH's client: the agent's keys, keys in files, the server's
//! questions, a password.

use std::time::Duration;

use russh::client::{AuthResult, Handle, Handler};
use russh::keys::HashAlg;
use russh::{MethodKind, MethodSet};

use crate::openssh::client_config::{AuthMethod, ClientConfig};
use crate::openssh::prompt::Prompter;

pub(crate) use credentials::{Credentials, KeyOrder};
pub use error::{AuthError, Tried};

use agent::Agent;
use candidates::Candidates;
use find::LateAgent;

mod agent;
mod agent_keys;
mod candidates;
mod credentials;
mod error;
mod find;
mod key_file;
mod keys;
mod legacy_pem;
mod offer;
mod person;
mod signers;
#[cfg(test)]
mod tests;

/// How a login was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    /// The method, such as `publickey (ssh-ed25519 SHA256:… from the agent)`; each step if the server required
    /// several.
    pub(crate) method: String,
    /// Whether the next login needs a person again.
    pub(crate) kind: LoginKind,
}

/// Whether a person had to take part in a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginKind {
    /// No, or only for a passphrase, which is not needed again: the next session can log in by itself.
    Unattended,
    /// A person entered a password or an answer, or touched a security key. The next login needs a person
    /// again, and must not be tried without one.
    Interactive,
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    /// Accepted, and the server requires another method.
    Partial,
    /// Not accepted, or nothing was sent at all.
    Continue,
}

/// The signatures that a server accepts of RSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RsaSignatures {
    /// Unknown: it did not announce any (RFC 8308).
    Untold,
    /// This hash is the best one (RFC 8332).
    With(HashAlg),
    /// Only SHA-1, which is refused here.
    Sha1Only,
}

/// A login in progress.
struct Login<'a, H: Handler> {
    handle: &'a mut Handle<H>,
    config: &'a ClientConfig,
    credentials: &'a Credentials,
    prompter: &'a Prompter,
    /// The methods that the server currently accepts.
    offered: MethodSet,
    accepted: Vec<String>,
    /// The results so far, for the error.
    tried: Vec<Tried>,
    /// The number of refusals by the server.
    failures: usize,
    kind: LoginKind,
    /// Whether something was skipped because no person could be asked.
    person_missing: bool,
    /// The keys left to try; `None` before they were looked for.
    candidates: Option<Candidates>,
    agent: Option<Agent>,
    /// An agent that has not listed its keys yet.
    late: Option<LateAgent>,
    /// `None` before the server was asked.
    rsa_signatures: Option<RsaSignatures>,
    passwords: u32,
    dialogues: u32,
}

/// Logs in on a session whose host key was accepted.
///
/// Each answer of the server and of the agent has a time limit; a person has none.
///
/// # Errors
///
/// After any error, the session can no longer be used.
///
/// # Cancel safety
///
/// Not cancel-safe: if dropped, the session must be dropped, too.
pub(crate) async fn authenticate<H: Handler>(
    handle: &mut Handle<H>,
    config: &ClientConfig,
    credentials: &Credentials,
    prompter: &Prompter,
) -> Result<Authenticated, AuthError> {
    let silent = prompter.silent();
    let prompter = if config.auth.batch_mode.is_on() { &silent } else { prompter };
    let login = Login {
        handle,
        config,
        credentials,
        prompter,
        offered: MethodSet::empty(),
        accepted: Vec::new(),
        tried: Vec::new(),
        failures: 0,
        kind: LoginKind::Unattended,
        person_missing: false,
        candidates: None,
        agent: None,
        late: None,
        rsa_signatures: None,
        passwords: 0,
        dialogues: 0,
    };
    login.run().await
}

impl<H: Handler> Login<'_, H> {
    async fn run(mut self) -> Result<Authenticated, AuthError> {
        // A server may accept everybody; any other lists its methods.
        let request = self.handle.authenticate_none(&self.config.user);
        let answer = within(ANSWER_LIMIT, request).await?;
        let mut outcome = self.take_answer("none", answer)?;
        // Servers do not count the refusal of `none`, which is of no interest in messages.
        self.failures = 0;
        self.tried.clear();
        while outcome != Outcome::Success {
            outcome = match self.next_method().await? {
                Some(AuthMethod::PublicKey) => self.try_next_key().await?,
                Some(AuthMethod::KeyboardInteractive) => self.try_dialogue().await?,
                Some(AuthMethod::Password) => self.try_password().await?,
                None => return Err(self.refused()),
            };
        }
        Ok(Authenticated { method: self.accepted.join(" and "), kind: self.kind })
    }

    /// The first method in the configured order that the server accepts and that has attempts left.
    async fn next_method(&mut self) -> Result<Option<AuthMethod>, AuthError> {
        for method in self.config.auth.preferred_authentications.clone() {
            if self.takes(method) && self.has_something_for(method).await? {
                return Ok(Some(method));
            }
        }
        // There may be no question to answer: a push notification needs no terminal here.
        let last = AuthMethod::KeyboardInteractive;
        let ours = self.config.auth.preferred_authentications.contains(&last);
        let alone = !self.prompter.can_ask() && !self.prompter.is_silent();
        Ok((alone && ours && self.takes(last) && self.has_attempts(last)).then_some(last))
    }

    /// Whether the server accepts the method, and the configuration allows it.
    fn takes(&self, method: AuthMethod) -> bool {
        let (kind, switch) = match method {
            AuthMethod::PublicKey => {
                (MethodKind::PublicKey, self.config.auth.pubkey_authentication)
            }
            AuthMethod::KeyboardInteractive => {
                (MethodKind::KeyboardInteractive, self.config.auth.kbd_interactive_authentication)
            }
            AuthMethod::Password => {
                (MethodKind::Password, self.config.auth.password_authentication)
            }
        };
        switch.is_on() && self.offered.contains(&kind)
    }

    async fn has_something_for(&mut self, method: AuthMethod) -> Result<bool, AuthError> {
        if method == AuthMethod::PublicKey {
            self.find_candidates().await?;
            if self.untried() == 0 {
                self.wait_for_agent().await?;
            }
            let left = self.untried() > 0;
            // One attempt is reserved for a person, if all keys together would be too many.
            let last = match self.credentials.order() {
                KeyOrder::Ssh => false,
                KeyOrder::NamedFirst { refusals } => self.failures + 1 >= refusals,
            };
            return Ok(left && !(last && self.prompter.can_ask() && self.person_has_attempts()));
        }
        if !self.prompter.can_ask() {
            self.person_missing = true;
            return Ok(false);
        }
        Ok(self.has_attempts(method))
    }

    /// Whether a person can be asked, and has attempts left.
    fn person_has_attempts(&self) -> bool {
        let by_person = [AuthMethod::KeyboardInteractive, AuthMethod::Password];
        let ours = &self.config.auth.preferred_authentications;
        by_person.into_iter().any(|m| ours.contains(&m) && self.takes(m) && self.has_attempts(m))
    }

    fn has_attempts(&self, method: AuthMethod) -> bool {
        let used = match method {
            AuthMethod::PublicKey => return false,
            AuthMethod::KeyboardInteractive => self.dialogues,
            AuthMethod::Password => self.passwords,
        };
        used < self.config.auth.number_of_password_prompts
    }

    /// Records the server's answer to an attempt by `method`.
    fn take_answer(
        &mut self,
        method: &str,
        answer: Result<AuthResult, russh::Error>,
    ) -> Result<Outcome, AuthError> {
        match answer {
            Ok(AuthResult::Success) => {
                self.accepted.push(method.to_owned());
                Ok(Outcome::Success)
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.take_refusal(method, remaining_methods, partial_success)
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn take_refusal(
        &mut self,
        method: &str,
        remaining: MethodSet,
        partial_success: bool,
    ) -> Result<Outcome, AuthError> {
        // russh also reports "refused, no methods left" if the connection has ended.
        if remaining.is_empty() && self.handle.is_closed() {
            self.note(method, "the connection ended");
            return Err(self.disconnected());
        }
        self.offered = remaining;
        if partial_success {
            self.note(method, "accepted; the server wants one more");
            self.accepted.push(method.to_owned());
            if let Some(candidates) = &mut self.candidates {
                candidates.restart();
            }
            return Ok(Outcome::Partial);
        }
        self.failures += 1;
        self.note(method, "refused");
        Ok(Outcome::Continue)
    }

    fn note(&mut self, what: &str, why: &str) {
        tracing::debug!(what, why, "login");
        self.tried.push(Tried { what: what.to_owned(), why: why.to_owned() });
    }

    fn disconnected(&mut self) -> AuthError {
        let order = self.credentials.order();
        let named = self.candidates.as_ref().is_some_and(|candidates| match order {
            KeyOrder::Ssh => candidates.has_named() && candidates.has_tried_others,
            KeyOrder::NamedFirst { .. } => candidates.has_named(),
        });
        // A connection may also be cut; its end after the first refusal says nothing about a limit.
        let unasked = self.failures >= FEWEST
            && self.passwords + self.dialogues == 0
            && self.prompter.can_ask()
            && self.person_has_attempts();
        if self.failures > 0 && (named || unasked) {
            self.credentials.switch_order(self.failures);
        }
        AuthError::Disconnected {
            said: None,
            tried: std::mem::take(&mut self.tried),
            untried: self.untried(),
        }
    }

    /// Converts an error of russh, which mostly means that the connection has ended.
    fn broken(&mut self, error: &russh::Error) -> AuthError {
        match error {
            russh::Error::SendError | russh::Error::RecvError => self.disconnected(),
            _ if self.handle.is_closed() => self.disconnected(),
            other => AuthError::Failed(other.to_string()),
        }
    }

    fn refused(mut self) -> AuthError {
        if self.person_missing {
            return self.person_needed();
        }
        AuthError::Refused {
            user: self.config.user.clone(),
            offered: self.offered_names(),
            tried: self.tried,
        }
    }

    fn person_needed(&mut self) -> AuthError {
        AuthError::PersonNeeded {
            user: self.config.user.clone(),
            offered: self.offered_names(),
            tried: std::mem::take(&mut self.tried),
        }
    }

    fn untried(&self) -> usize {
        self.candidates.as_ref().map_or(0, |candidates| candidates.left.len())
    }

    fn offered_names(&self) -> Vec<String> {
        self.offered.iter().map(|kind| <&str>::from(kind).to_owned()).collect()
    }
}

/// Waits for an answer of the server, or of the agent and the server.
async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, AuthError> {
    tokio::time::timeout(limit, answer).await.map_err(|_| AuthError::TimedOut(limit))
}

/// The refusals after which the end of a connection may be due to a limit.
const FEWEST: usize = 2;
/// How long an answer of the server may take: sshd's `LoginGraceTime`, after which it would close the
/// connection itself. A second factor on a phone takes its time.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
