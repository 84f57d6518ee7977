//! How long the first word of a server is waited for where a program leads to it (`ProxyCommand`).
//!
//! The program may have a person log in elsewhere first, as in a browser, for which `ssh` waits without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Asking;
use super::proxy_command::CommandEnd;
use crate::ssh::session::Traffic;

/// What is known of the programs that lead to one server.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Whether one has led there.
    have_led: AtomicBool,
    /// One is waited for longer than a server is.
    held_up: CancellationToken,
}

/// The patience with the program of one attempt.
pub(super) struct Patience<'a> {
    programs: &'a Programs,
    traffic: &'a Traffic,
    /// The program; none where no patience is due.
    command: Option<CommandEnd>,
    /// The server, in words.
    address: String,
    asking: Asking,
    begun: Instant,
    /// Whether there was no word when the limit passed last.
    was_silent: bool,
}

impl Programs {
    /// The server has answered by way of one.
    pub(super) fn led(&self) {
        self.have_led.store(true, Relaxed);
    }

    /// Cancelled when one is first waited for longer than a server is.
    pub(super) fn held_up(&self) -> CancellationToken {
        self.held_up.clone()
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

    /// Whether the limit for the handshake, which has passed, begins anew: there is no word from the server, and
    /// its program may wait for a person; or the first one has come meanwhile. A program that has led there
    /// before, and does not say that anything is different, may have lost its connection.
    pub(super) fn is_left(&mut self) -> bool {
        let Some(command) = &self.command else { return false };
        if self.traffic.received() > 0 {
            return std::mem::take(&mut self.was_silent);
        }
        let may_wait = !self.programs.have_led.load(Relaxed) || command.has_spoken();
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

/// Logins in a browser expire sooner; what is silent for longer has lost its connection.
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
    async fn a_program_that_says_nothing_is_waited_for_and_then_the_server_has_its_time() {
        let (programs, traffic) = (Programs::default(), Arc::default());
        let mut patient = patience(&programs, &traffic, Asking::Allowed);
        assert!(!programs.held_up().is_cancelled());
        assert!(patient.is_left());
        assert!(programs.held_up().is_cancelled());
        advance(LONGEST / 2).await;
        assert!(patient.is_left());
        traffic.add(b"SSH-2.0-x\r\n");
        assert!(patient.is_left(), "the first word has just come");
        assert!(!patient.is_left());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_in_vain() {
        let (programs, traffic) = (Programs::default(), Arc::default());
        let mut patient = patience(&programs, &traffic, Asking::Allowed);
        assert!(patient.is_left());
        advance(LONGEST).await;
        assert!(!patient.is_left(), "there is an end");
        assert!(!patience(&programs, &traffic, Asking::Never).is_left());
        let mut none = Patience { command: None, ..patience(&programs, &traffic, Asking::Allowed) };
        assert!(!none.is_left());
        programs.led();
        let mut again = patience(&programs, &traffic, Asking::Allowed);
        assert!(!again.is_left(), "it has led there before");
        let told = again.command.as_ref().expect("a command");
        told.spoke("log in at https://a.example");
        assert!(again.is_left());
    }
}
