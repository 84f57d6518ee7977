//! The program under test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use tempfile::TempDir;

use super::log::Log;
use super::login::HOST;
use super::{command, process, wait};

/// A running `sockeye`. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Sockeye {
    child: Child,
    log: Arc<Log>,
    /// The thread that reads the log until EOF.
    reader: JoinHandle<()>,
    /// An empty home directory, to keep the user's own files out.
    _home: TempDir,
}

impl Sockeye {
    /// Starts with a listener on a port that the kernel chooses, and waits for the first session.
    pub(crate) fn start(ssh_config: &Path) -> Self {
        Self::with(ssh_config, &[])
    }

    /// Like [`Sockeye::start`], with a pool of one session, for tests with a faulty link and tests
    /// that count on the server.
    pub(crate) fn single(ssh_config: &Path) -> Self {
        Self::with(ssh_config, &["--sessions", "1"])
    }

    /// Like [`Sockeye::start`], with additional arguments.
    pub(crate) fn with(ssh_config: &Path, arguments: &[&str]) -> Self {
        let mut command = program();
        command.arg("-F").arg(ssh_config).args(["-D", "127.0.0.1:0"]).args(arguments).arg(HOST);
        let sockeye = Self::spawn(command);
        sockeye.wait_for_log(CONNECTED);
        sockeye
    }

    /// Starts a command and reads its log, without waiting for anything.
    pub(crate) fn spawn(mut command: Command) -> Self {
        Self::spawn_as_is(&mut command)
    }

    /// Like [`Sockeye::spawn`], for a command that remains the caller's.
    pub(crate) fn spawn_as_is(command: &mut Command) -> Self {
        let home = TempDir::with_prefix("sockeye-home-").expect("a temporary directory");
        let mut child = command
            .env("HOME", home.path())
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test");
        let (log, reader) = Log::of(child.stderr.take().expect("a pipe"));
        Self { child, log, reader, _home: home }
    }

    /// The address of the first TCP listener.
    pub(crate) fn address(&self) -> SocketAddr {
        wait::until_some("a listener is named", || {
            self.log().lines().find_map(|line| {
                let (_, rest) = line.split_once(LISTENING)?;
                rest.split(' ').next()?.parse().ok()
            })
        })
    }

    /// Its log (standard error) so far: all that it has written by now.
    pub(crate) fn log(&self) -> String {
        self.log.lines()
    }

    /// Waits until the log contains `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait::until_some(&format!("the program says {text:?}"), || {
            // The log is complete by then.
            let ended = !process::is_running(self.pid()) && self.reader.is_finished();
            let log = self.log();
            assert!(!ended || log.contains(text), "the program ended, saying:\n{log}");
            log.contains(text).then_some(())
        });
    }

    /// How many sessions it has replaced so far, as it tells with `-v`: on a busy machine a server may seem to be
    /// farther away than at first, and its sessions have another window then.
    pub(crate) fn replaced(&self) -> usize {
        self.log().matches("a session is replaced by a newer one").count()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        process::signal(self.pid(), Signal::TERM);
    }

    /// Waits until it exits by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = wait::until_some("the program ends", || child.try_wait().expect("a child"));
        wait::until("its last words are read", || self.reader.is_finished());
        status
    }
}

impl Drop for Sockeye {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- what the program said:\n{}---", self.log());
        }
    }
}

/// The program without arguments. `SOCKEYE_BIN` substitutes another one.
pub(crate) fn program() -> Command {
    command(&path())
}

/// Like [`program`], with a hard limit on descriptors.
pub(crate) fn program_with_descriptors(limit: u32) -> Command {
    let mut command = command("bash");
    command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), &path()]);
    command
}

/// Like [`program`], with a soft limit on descriptors, which it may raise.
pub(crate) fn program_with_few_descriptors(limit: u32) -> Command {
    let mut command = command("bash");
    command.args(["-c", &format!("ulimit -S -n {limit}; exec \"$0\" \"$@\""), &path()]);
    command
}

fn path() -> String {
    std::env::var("SOCKEYE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_sockeye").to_owned())
}

const LISTENING: &str = "listening on ";
const CONNECTED: &str = "connected to ";
