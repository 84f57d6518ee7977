//! What runs here once a server is logged in to (`LocalCommand`).

use std::process::Stdio;

use tokio::process::Command;
use tracing::{debug, warn};

use crate::printable::{Lines, printable};

/// Runs it by the user's shell and waits for its end, as `ssh` does. What becomes of it does not matter
/// for the session.
pub(super) async fn run(command: &str) {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut child = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    let child = child.arg("-c").arg(command).stdin(Stdio::null());
    let shown = printable(command, 200, Lines::One);
    match child.status().await {
        Ok(status) => debug!(%status, "LocalCommand '{shown}' is over"),
        Err(error) => warn!("LocalCommand '{shown}' does not run: {error}"),
    }
}
