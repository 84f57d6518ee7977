//! Takes over the terminal, restores it, and returns it to the shell when suspended.

use std::env;
use std::io::{self, IsTerminal as _};

use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, try_init, try_restore};
use rustix::process::{Signal, getpgrp, getpid, getsid, kill_current_process_group, kill_process};

use super::model::Model;
use super::view::{self, Theme};

/// The terminal, taken over. It is restored on drop and on a panic.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
    theme: Theme,
}

/// What to suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The whole job, for Ctrl-Z.
    Job,
    /// This process alone, for a signal that was sent to it.
    Process,
}

/// The reason why the screen cannot be shown; `None` if it can.
pub(super) fn obstacle() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        return Some("standard output is not a terminal: use `sockeye connections --watch`");
    }
    let kind = env::var("TERM").unwrap_or_default();
    (kind == "dumb").then_some("this terminal (TERM=dumb) cannot move its cursor")
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let terminal = try_init().inspect_err(|_| {
            // The terminal may be half set up.
            let _ = try_restore();
        })?;
        Ok(Self { terminal, theme: Theme::from_environment() })
    }

    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        let theme = &self.theme;
        self.terminal.draw(|frame| {
            let area = frame.area();
            view::draw(model, theme, area, frame.buffer_mut());
        })?;
        Ok(())
    }

    /// Takes over the terminal again, whatever other programs have done to it.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        self.restore();
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        // `clear` would not do: it asks the terminal for the cursor position, and fails if no answer comes in time.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Restores the terminal, and stops until this process is continued. Does nothing without a shell
    /// with job control, since nobody could continue the process.
    pub(super) fn suspend(&mut self, who: Who) -> io::Result<()> {
        if getsid(None)? == getpgrp() {
            return Ok(());
        }
        self.restore();
        match who {
            Who::Job => kill_current_process_group(Signal::STOP)?,
            Who::Process => kill_process(getpid(), Signal::STOP)?,
        }
        self.retake()
    }

    fn restore(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = self.terminal.show_cursor();
        let _ = try_restore();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}
