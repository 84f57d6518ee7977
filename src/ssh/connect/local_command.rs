//! What runs here once a server is logged in to (`LocalCommand`).

use std::process::Stdio;

use tracing::{debug, warn};

use super::shell;
use crate::printable::{Lines, printable};

/// Runs it by the user's shell and waits for its end, as `ssh` does. What becomes of it does not matter
/// for the session.
pub(super) async fn run(command: &str) {
    let shown = printable(command, 200, Lines::One);
    match shell::run(command).stdin(Stdio::null()).status().await {
        Ok(status) => debug!(%status, "LocalCommand '{shown}' is over"),
        Err(error) => warn!("LocalCommand '{shown}' does not run: {error}"),
    }
}
