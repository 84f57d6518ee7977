//! What the user's shell runs for us.

use std::process::Stdio;

use tokio::process::Command;
use tracing::{debug, warn};

use crate::printable::{Lines, printable};

/// The shell that is to run a script, as `ssh` finds it.
pub(super) fn command(script: &str) -> Command {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(script);
    command
}

/// Runs a `LocalCommand` to its end. Nothing waits for it: what becomes of it does not matter for the session.
pub(super) async fn run_local_command(command: String) {
    let shown = printable(&command, 200, Lines::One);
    match self::command(&command).stdin(Stdio::null()).status().await {
        Ok(status) => debug!(%status, "LocalCommand '{shown}' is over"),
        Err(error) => warn!("LocalCommand '{shown}' does not run: {error}"),
    }
}
