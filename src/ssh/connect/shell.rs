//! Commands run by the user's shell.

use std::process::Stdio;

use tokio::process::Command;
use tracing::{debug, warn};

use crate::printable::{Lines, printable};

/// The shell command that runs a script, as in `ssh`.
pub(super) fn command(script: &str) -> Command {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(script);
    command
}

/// Starts a `LocalCommand`, and returns a future that waits for its end. The session does not depend on its
/// result, but users of the session find it already started.
pub(super) fn start_local_command(command: &str) -> impl Future<Output = ()> + use<> {
    let shown = printable(command, 200, Lines::One);
    let child = self::command(command).stdin(Stdio::null()).spawn();
    async move {
        let ended = match child {
            Ok(mut child) => child.wait().await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(status) => debug!(%status, "LocalCommand '{shown}' is over"),
            Err(error) => warn!("LocalCommand '{shown}' does not run: {error}"),
        }
    }
}
