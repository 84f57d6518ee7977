//! `KnownHostsCommand`: a program that lists the host keys of a server.

use std::process::Stdio;
use std::time::Duration;

use russh::keys::{HashAlg, PublicKey};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::HostKeyError;
use crate::printable::{Lines, printable};

/// The program's output for `host`: lines of `known_hosts`. `words` are its path and arguments, with a NUL
/// before each token that is only known now. It is started without a shell, as in `ssh`.
///
/// # Errors
///
/// It cannot be started, fails or does not end; no key is trusted then, as in `ssh`.
pub(super) async fn run(
    words: &[String],
    host: &str,
    purpose: &str,
    key: Option<&PublicKey>,
) -> Result<Vec<u8>, HostKeyError> {
    let said = |what: String| HostKeyError::Command(printable(&what, 300, Lines::One));
    let [program, arguments @ ..] = words else { return Err(said("is empty".to_owned())) };
    let none = || "NONE".to_owned();
    let (mut kind, mut fingerprint, mut blob) = (none(), none(), none());
    if let Some(key) = key {
        kind = key.algorithm().to_string();
        fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let line = key.to_openssh().map_err(|error| said(error.to_string()))?;
        line.split(' ').nth(1).unwrap_or_default().clone_into(&mut blob);
    }
    let expanded = arguments.iter().map(|argument| {
        [("\0H", host), ("\0I", purpose), ("\0t", &kind), ("\0f", &fingerprint), ("\0K", &blob)]
            .iter()
            .fold(argument.clone(), |text, (token, value)| text.replace(token, value))
    });
    let mut command = Command::new(program);
    command.args(expanded).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| said(format!("'{program}': {error}")))?;
    let mut output = Vec::new();
    let work = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_OUTPUT).read_to_end(&mut output).await?;
        }
        child.wait().await
    };
    match timeout(LIMIT, work).await {
        Err(_) => Err(said(format!("'{program}' did not end within {} s", LIMIT.as_secs()))),
        Ok(Err(error)) => Err(said(format!("'{program}': {error}"))),
        Ok(Ok(status)) if !status.success() => Err(said(format!("'{program}' failed: {status}"))),
        Ok(Ok(_)) => Ok(output),
    }
}

/// How long the program may take.
const LIMIT: Duration = Duration::from_secs(20);
/// The maximum length of its output that is read, in bytes.
const MAX_OUTPUT: u64 = 4 << 20;
