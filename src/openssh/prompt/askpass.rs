//! Asks through a program with a window, as `ssh` does.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::printable;

use super::{MAX_ANSWER, PromptError, Question};

/// Runs `program` with the question as its argument; the first line of its output is the answer. A
/// failure of the program counts as Cancel.
pub(super) async fn ask(
    program: &Path,
    question: Question,
    text: &str,
) -> Result<Zeroizing<String>, PromptError> {
    let mut command = Command::new(program);
    command.arg(text).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    match question {
        Question::Confirm => command.env("SSH_ASKPASS_PROMPT", "confirm"),
        Question::Secret | Question::Line => command.env_remove("SSH_ASKPASS_PROMPT"),
    };
    let mut child = command.spawn().map_err(|error| {
        let program = printable::path(program);
        std::io::Error::other(format!("SSH_ASKPASS, {program}: {error}"))
    })?;
    let mut said = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    if let Some(output) = child.stdout.take() {
        // The buffer never grows, so no copy of a secret is left behind in freed memory.
        let limit = u64::try_from(MAX_ANSWER).expect("4096 is a u64");
        output.take(limit).read_to_end(&mut said).await?;
    }
    if !child.wait().await?.success() {
        return Err(PromptError::Cancelled);
    }
    let line = said.split(|b| *b == b'\n' || *b == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| PromptError::Cancelled)?;
    if question == Question::Confirm && line.is_empty() {
        return Ok(Zeroizing::new("yes".to_owned()));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
