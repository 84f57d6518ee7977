//! The terminal: taken over, restored, and left to the shell.

use std::env;
use std::io::{self, IsTerminal as _};

use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, try_init, try_restore};
use rustix::process::{Signal, getpgrp, getpid, getsid, kill_current_process_group, kill_process};

use super::model::Model;
use super::view::{self, Theme};

/// The terminal while it is taken over. It is restored on drop and on a panic.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
    theme: Theme,
}

/// What is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The whole job: Ctrl-Z.
    Job,
    /// This process alone, to which the signal was sent.
    Process,
}

/// Why the screen cannot be shown; none where it can.
pub(super) fn obstacle() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        return Some("standard output is no terminal: `sockeye connections --watch` is for pipes");
    }
    let kind = env::var("TERM").unwrap_or_default();
    (kind == "dumb").then_some("this terminal (TERM=dumb) cannot move its cursor")
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let terminal = try_init().inspect_err(|_| {
            // It may be half done.
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

    /// Takes over the terminal again, whatever others have done with it.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        self.restore();
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        // Not `clear`, which asks the terminal where its cursor is, and fails where no answer comes in time.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Restores the terminal, and stops until this process is continued. Without a shell with job control
    /// nobody could continue it, and nothing happens.
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
