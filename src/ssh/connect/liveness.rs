//! How a session is found to be dead.

use std::time::Duration;

/// When a session counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// How often an idle server is asked (`ServerAliveInterval`).
    pub(crate) interval: Duration,
    /// How long it may be silent while it is being asked.
    pub(crate) silence: Duration,
}
