//! Restores the state of the terminal.

use std::fs::File;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The state of the terminal when the program started.
///
/// A password prompt turns the echo off. If the program ends during one, this turns it on again.
#[derive(Debug)]
pub struct Terminal {
    device: File,
    before: Termios,
}

/// Whether this process has a terminal that is still open.
pub(super) fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}

impl Terminal {
    /// Saves the state of the terminal; `None` if there is none.
    pub fn remember() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let before = tcgetattr(&device).ok()?;
        Some(Self { device, before })
    }

    /// Turns the echo on again if it was on and now is off.
    pub fn restore(&self) {
        // In the background, this would stop the process (SIGTTOU), and the terminal belongs to another
        // program.
        if tcgetpgrp(&self.device).ok() != Some(rustix::process::getpgrp()) {
            return;
        }
        let Ok(now) = tcgetattr(&self.device) else { return };
        let echo = LocalModes::ECHO;
        if self.before.local_modes.contains(echo) && !now.local_modes.contains(echo) {
            // The terminal may be gone.
            let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
        }
    }
}
