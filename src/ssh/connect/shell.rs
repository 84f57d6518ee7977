//! The user's shell.

use tokio::process::Command;

/// The shell that is to run a script, as `ssh` finds it.
pub(super) fn run(script: &str) -> Command {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(script);
    command
}
