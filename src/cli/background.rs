//! `-f`: goes to the background once everything is up, without a fork.
//!
//! A program with threads cannot fork. So the foreground half starts the program again, with the same
//! arguments and a pipe as its standard output, and waits. The background half does the work. It keeps the
//! terminal for prompts until it is ready, reports that through the pipe, and detaches from the terminal.
//! Then the foreground half exits with status 0.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// The background half, before it is ready.
#[derive(Debug)]
pub struct Background {
    pipe: File,
}

/// What becomes of standard error in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// It stays open, because the user asked for more logs (`-v`), as in ssh.
    Kept,
    /// It becomes `/dev/null`, so that a reader that waits for EOF does not wait for ever.
    Dropped,
}

impl Background {
    /// The background half, if this process is one. Standard output becomes `/dev/null`; the pipe is kept
    /// here, where child processes do not inherit it.
    ///
    /// Must be called once, before anything is written to standard output.
    pub fn detect() -> io::Result<Option<Self>> {
        // The variable cannot be removed from the environment, which other threads may be reading. So it holds the id
        // of the parent; children of this process have another parent, and ignore it.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        let named = std::env::var(VARIABLE).ok();
        if named.is_none() || named != parent {
            return Ok(None);
        }
        let pipe = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(null()?)?;
        Ok(Some(Self { pipe }))
    }

    /// Leaves the terminal (a session of its own, no standard streams), then lets the foreground half exit.
    /// If that half is gone, this process should exit too.
    pub fn ready(mut self, stderr: Stderr) -> io::Result<()> {
        // Before the report: once the foreground half has exited, the shell uses the terminal.
        rustix::process::setsid()?;
        let null = null()?;
        rustix::stdio::dup2_stdin(&null)?;
        if stderr == Stderr::Dropped {
            rustix::stdio::dup2_stderr(&null)?;
        }
        self.pipe.write_all(format!("{READY}\n").as_bytes())
    }
}

/// The foreground half: starts `program` with `words` as the background half, and waits until that is
/// ready or has exited. Returns the exit status: 0 if it is ready, otherwise that of the background
/// half (128 plus the number of a signal, as in a shell).
pub fn launch(program: &Path, words: impl IntoIterator<Item = OsString>) -> io::Result<u8> {
    let mut half = Command::new(program)
        .args(words)
        .env(VARIABLE, std::process::id().to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = half.stdout.take().expect("standard output was asked to be a pipe");
    // EOF means that the background half has ended: nothing else holds the pipe's write end.
    let mut lines = BufReader::new(pipe.take(MOST_OUTPUT)).lines();
    if lines.any(|line| line.is_ok_and(|line| line == READY)) {
        return Ok(0);
    }
    half.wait().map(status_byte)
}

/// The exit status, as a shell shows it.
fn status_byte(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Opens `/dev/null` for reading and writing.
fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// The variable that marks the background half; its value is the process id of the foreground half.
const VARIABLE: &str = "SOCKEYE_BACKGROUND_OF";
/// The line that the background half writes when it is ready.
const READY: &str = "ready";
/// The most bytes that are read while waiting for that line.
const MOST_OUTPUT: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
