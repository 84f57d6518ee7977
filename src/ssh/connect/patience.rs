//! How long to wait for the first data from a server behind a `ProxyCommand`.
//!
//! The program may first need a person to log in elsewhere, as in a browser, for which `ssh` waits indefinitely.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Asking;
use super::proxy_command::CommandEnd;
use crate::ssh::session::Traffic;

/// The history of the `ProxyCommand`s for one server.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Whether one of them has reached the server.
    have_reached: AtomicBool,
    /// Cancelled when one of them first exceeds the server's limit.
    pub(super) held_up: CancellationToken,
}

/// The extra time for the `ProxyCommand` of one attempt.
pub(super) struct Patience<'a> {
    programs: &'a Programs,
    traffic: &'a Traffic,
    /// The program; none if there is no extra time.
    command: Option<CommandEnd>,
    /// The server, for messages.
    address: String,
    asking: Asking,
    begun: Instant,
    /// Whether no data had arrived when the limit last passed.
    was_silent: bool,
}

impl Programs {
    /// Records that the server has answered through a program.
    pub(super) fn reached(&self) {
        self.have_reached.store(true, Relaxed);
    }
}

impl<'a> Patience<'a> {
    pub(super) fn new(
        programs: &'a Programs,
        traffic: &'a Arc<Traffic>,
        command: Option<CommandEnd>,
        address: String,
        asking: Asking,
    ) -> Self {
        let begun = Instant::now();
        Self { programs, traffic, command, address, asking, begun, was_silent: false }
    }

    /// Whether to extend the limit of the handshake once it has passed: the server is silent, and its program
    /// may be waiting for a person; or its first data has just arrived. A program that reached the server
    /// before, and now writes no message, may have lost its connection instead.
    pub(super) fn extends(&mut self) -> bool {
        let Some(command) = &self.command else { return false };
        if self.traffic.received() > 0 {
            return std::mem::take(&mut self.was_silent);
        }
        let may_wait = !self.programs.have_reached.load(Relaxed) || command.has_spoken();
        if self.asking == Asking::Never || !may_wait || self.begun.elapsed() >= LONGEST {
            return false;
        }
        if !std::mem::replace(&mut self.was_silent, true) {
            info!(
                "still waiting for {}, up to {} min (ConnectTimeout sets another limit)",
                self.address,
                LONGEST.as_secs() / 60
            );
            self.programs.held_up.cancel();
        }
        true
    }
}

/// Logins in a browser expire sooner; a program that is silent for longer has lost its connection.
const LONGEST: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn patience<'a>(
        programs: &'a Programs,
        traffic: &'a Arc<Traffic>,
        asking: Asking,
    ) -> Patience<'a> {
        let command = Some(CommandEnd::default());
        Patience::new(programs, traffic, command, "host".to_owned(), asking)
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_extended_for_a_silent_program_and_once_for_the_server() {
        let (programs, traffic) = (Programs::default(), Arc::default());
        let mut patient = patience(&programs, &traffic, Asking::Allowed);
        assert!(!programs.held_up.is_cancelled());
        assert!(patient.extends());
        assert!(programs.held_up.is_cancelled());
        advance(LONGEST / 2).await;
        assert!(patient.extends());
        traffic.add(b"SSH-2.0-x\r\n");
        assert!(patient.extends(), "the first data has just arrived");
        assert!(!patient.extends());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_not_extended_in_vain() {
        let (programs, traffic) = (Programs::default(), Arc::default());
        let mut patient = patience(&programs, &traffic, Asking::Allowed);
        assert!(patient.extends());
        advance(LONGEST).await;
        assert!(!patient.extends(), "the extension has a maximum");
        assert!(!patience(&programs, &traffic, Asking::Never).extends());
        let mut none = Patience { command: None, ..patience(&programs, &traffic, Asking::Allowed) };
        assert!(!none.extends());
        programs.reached();
        let mut again = patience(&programs, &traffic, Asking::Allowed);
        assert!(!again.extends(), "a program has reached the server before");
        let command = again.command.as_ref().expect("a command");
        command.spoke("log in at https://a.example");
        assert!(again.extends());
    }
}
