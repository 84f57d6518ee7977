//! Asks a person about an unrecorded host key, with `ssh`'s wording.

use super::error::{HostKeyError, RefusedKey};
use crate::openssh::prompt::{PromptError, Prompter};

/// Asks whether to trust a new key.
///
/// # Errors
///
/// The person did not agree, or could not be asked.
pub(super) async fn ask(prompter: &Prompter, shown: &RefusedKey) -> Result<(), HostKeyError> {
    let refused = || shown.clone();
    let RefusedKey { host, algorithm, fingerprint, certificate } = shown;
    let fault = match certificate {
        Some(fault) => format!("Its certificate does not count: {fault}.\n"),
        None => String::new(),
    };
    let mut question = format!(
        "The authenticity of host '{host}' can't be established.\n{fault}{} key fingerprint is \
         {fingerprint}.\nAre you sure you want to continue connecting \
         (yes/no/[fingerprint])? ",
        kind(algorithm),
    );
    for _ in 0..MAX_QUESTIONS {
        // Asked as text instead of a confirmation: an askpass program may confirm by default.
        let answer = match prompter.line(&question).await {
            Ok(answer) => answer,
            Err(PromptError::Nobody) => {
                return Err(HostKeyError::UnknownAndNobodyToAsk(refused()));
            }
            Err(PromptError::Cancelled) => return Err(HostKeyError::Declined(refused())),
            Err(PromptError::Failed(error)) => {
                return Err(HostKeyError::Prompt { key: refused(), cause: error });
            }
        };
        let answer = answer.trim();
        if answer.eq_ignore_ascii_case("yes") || answer == fingerprint.as_str() {
            return Ok(());
        }
        if answer.is_empty() || answer.eq_ignore_ascii_case("no") {
            break;
        }
        "Please type 'yes', 'no' or the fingerprint: ".clone_into(&mut question);
    }
    Err(HostKeyError::Declined(refused()))
}

/// The type of a key as shown by `ssh`.
fn kind(algorithm: &str) -> String {
    let name = algorithm.trim_start_matches("ssh-");
    let name = if name.starts_with("ecdsa-sha2-") { "ecdsa" } else { name };
    name.to_uppercase()
}

/// How often the question is repeated after an answer that is neither yes, no nor the fingerprint.
const MAX_QUESTIONS: usize = 5;
