//! The terminal, left as it was found.

use std::fs::File;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// How the terminal was when the program started.
///
/// A password is asked for with the echo off. When the program ends in the middle of that, nobody
/// but this turns it on again.
#[derive(Debug)]
pub struct Terminal {
    device: File,
    before: Termios,
}

/// Whether this process has a terminal. One that was closed is none.
pub(super) fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}

impl Terminal {
    /// Remembers how the terminal is; `None` when there is none.
    pub fn remember() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let before = tcgetattr(&device).ok()?;
        Some(Self { device, before })
    }

    /// Puts the echo back, if it is off and was on.
    pub fn restore(&self) {
        // From behind another program, this would stop the process (SIGTTOU), and it would be
        // the other program's terminal.
        if tcgetpgrp(&self.device).ok() != Some(rustix::process::getpgrp()) {
            return;
        }
        let Ok(now) = tcgetattr(&self.device) else { return };
        let echo = LocalModes::ECHO;
        if self.before.local_modes.contains(echo) && !now.local_modes.contains(echo) {
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
        }
    }
}
