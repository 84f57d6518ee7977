//! `-f`: goes to the background once everything is up, without a fork.
//!
//! A program with threads cannot fork. So the foreground half starts the program once more, with
//! the same arguments and a pipe as its standard output, and waits. The background half does the work; it
//! keeps the terminal for questions until it is ready, reports that through the pipe, and detaches from the
//! terminal. Then the foreground half ends with status 0.

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

/// Standard error in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// It stays: the user asked for more logs (`-v`), as in ssh.
    Kept,
    /// It becomes `/dev/null`, so that a reader that waits for its end does not wait for ever.
    Dropped,
}

impl Background {
    /// The background half, if this process is one. Standard output becomes `/dev/null`; the pipe is kept
    /// here, where programs that this one starts do not inherit it.
    ///
    /// To be called once, before anything is written to standard output.
    pub fn detect() -> io::Result<Option<Self>> {
        // The variable cannot be taken out of the environment (other threads may read it), so it
        // names the one process whose child it speaks of. What this process starts is not that.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        let named = std::env::var(VARIABLE).ok();
        if named.is_none() || named != parent {
            return Ok(None);
        }
        let pipe = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(null()?)?;
        Ok(Some(Self { pipe }))
    }

    /// Leaves the terminal (a session of its own, no standard streams), then lets the foreground half end. If
    /// that is gone, this process should end, too.
    pub fn ready(mut self, stderr: Stderr) -> io::Result<()> {
        // Before reporting: once the foreground half has ended, the shell uses the terminal.
        rustix::process::setsid()?;
        let null = null()?;
        rustix::stdio::dup2_stdin(&null)?;
        if stderr == Stderr::Dropped {
            rustix::stdio::dup2_stderr(&null)?;
        }
        self.pipe.write_all(format!("{READY}\n").as_bytes())
    }
}

/// The foreground half: starts `program` with `words` as the background half and waits until it is
/// ready or has ended. Returns the exit status: 0 when it is ready, that of the background half when it
/// ended before (128 plus the number of a signal, as in a shell).
pub fn launch(program: &Path, words: impl IntoIterator<Item = OsString>) -> io::Result<u8> {
    let mut half = Command::new(program)
        .args(words)
        .env(VARIABLE, std::process::id().to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = half.stdout.take().expect("standard output was asked to be a pipe");
    // The pipe ends with the background half: nothing else holds its write end.
    let mut lines = BufReader::new(pipe.take(MOST_OUTPUT)).lines();
    if lines.any(|line| line.is_ok_and(|line| line == READY)) {
        return Ok(0);
    }
    half.wait().map(status_byte)
}

/// The exit status as a shell shows it.
fn status_byte(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Opens `/dev/null` for reading and writing.
fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// Tells a process that it is the background half of the process whose id this holds.
const VARIABLE: &str = "SOCKEYE_BACKGROUND_OF";
/// The line that the background half writes when it is ready.
const READY: &str = "ready";
/// The most that is read while waiting for that line, in bytes.
const MOST_OUTPUT: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
