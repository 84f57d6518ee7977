//! Logins by a person: the server's questions (RFC 4256), or a password (RFC 4252 section 8).

use russh::client::{AuthResult, Handler, KeyboardInteractiveAuthResponse as Response, Prompt};
use tokio::time::timeout;

use super::{ANSWER_LIMIT, AuthError, Login, LoginKind, Outcome, within};
use crate::openssh::prompt::PromptError;
use crate::printable::{Lines, printable};

impl<H: Handler> Login<'_, H> {
    pub(super) async fn try_password(&mut self) -> Result<Outcome, AuthError> {
        if self.passwords > 0 {
            tracing::info!("permission denied, please try again");
        }
        self.passwords += 1;
        // Scripts that answer (sshpass and the like) wait for `ssh`'s wording.
        let question = format!("{}'s password: ", self.account());
        let answer = self.prompter.secret(&question).await;
        let password = answer.map_err(|e| self.given_up(&e))?;
        self.kind = LoginKind::Interactive;
        let request = self.handle.authenticate_password(&self.config.user, password.as_str());
        // The server may be asking for a second factor on a phone.
        let _waiting = self.prompter.asked_elsewhere();
        let answer = timeout(ANSWER_LIMIT, request).await;
        let answer = answer.map_err(|_| AuthError::PasswordUnanswered(ANSWER_LIMIT))?;
        self.take_answer("password", answer)
    }

    pub(super) async fn try_dialogue(&mut self) -> Result<Outcome, AuthError> {
        const METHOD: &str = "keyboard-interactive";
        self.dialogues += 1;
        let user = self.config.user.clone();
        let start = self.handle.authenticate_keyboard_interactive_start(user, None);
        // The server may be asking for a second factor on a phone, or delay a refusal.
        let mut response = {
            let _waiting = self.prompter.asked_elsewhere();
            within(ANSWER_LIMIT, start).await?
        };
        for round in 0..MAX_ROUNDS {
            match response {
                Ok(Response::Success) => return self.take_answer(METHOD, Ok(AuthResult::Success)),
                Ok(Response::Failure { remaining_methods, partial_success }) => {
                    if round == 0 {
                        // It has no question, and will have none next time.
                        self.dialogues = self.config.auth.number_of_password_prompts;
                    }
                    let answer = AuthResult::Failure { remaining_methods, partial_success };
                    return self.take_answer(METHOD, Ok(answer));
                }
                Ok(Response::InfoRequest { name, instructions, prompts }) => {
                    // Even without a question, somebody may have to confirm on a phone.
                    self.kind = LoginKind::Interactive;
                    let answers = self.answer(&name, &instructions, &prompts).await?;
                    let send = self.handle.authenticate_keyboard_interactive_respond(answers);
                    let _waiting = self.prompter.asked_elsewhere();
                    response = within(ANSWER_LIMIT, send).await?;
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Err(AuthError::Failed("the server asks without an end".to_owned()))
    }

    /// Asks a person the server's questions one by one, as `ssh` does. The account precedes the server's text,
    /// so that no server can impersonate another program.
    async fn answer(
        &mut self,
        name: &str,
        instructions: &str,
        prompts: &[Prompt],
    ) -> Result<Vec<String>, AuthError> {
        let account = self.account();
        for text in [name, instructions].into_iter().map(str::trim).filter(|t| !t.is_empty()) {
            for line in printable(text, MAX_INSTRUCTIONS, Lines::Many).lines() {
                tracing::info!("({account}) {line}");
            }
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for Prompt { prompt, echo } in prompts {
            let prompt = printable(prompt, MAX_PROMPT, Lines::One);
            let question = format!("({account}) {prompt}");
            let answer = match echo {
                true => self.prompter.line(&question).await,
                false => self.prompter.secret(&question).await,
            };
            let answer = answer.map_err(|e| self.given_up(&e))?;
            answers.push(answer.as_str().to_owned());
        }
        Ok(answers)
    }

    /// `user@host`, for questions.
    fn account(&self) -> String {
        let host = self.config.host_keys.host_key_alias.as_ref();
        let host = host.unwrap_or(&self.config.host_name);
        let account = format!("{}@{host}", self.config.user);
        printable(&account, 200, Lines::One)
    }

    fn given_up(&mut self, error: &PromptError) -> AuthError {
        match error {
            PromptError::Nobody => self.person_needed(),
            PromptError::Cancelled | PromptError::Failed(_) => {
                AuthError::GivenUp(error.to_string())
            }
        }
    }
}

/// The maximum number of rounds in one attempt. Two are common: a password and a code.
const MAX_ROUNDS: usize = 32;
/// The characters shown of a server's instructions.
const MAX_INSTRUCTIONS: usize = 2000;
/// The characters shown of a server's question.
const MAX_PROMPT: usize = 300;
