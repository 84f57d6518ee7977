//! The verdicts of `ssh` and of the program under test on a server's host key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::login::HOST;
use super::program::{Sockeye, program};
use super::{command, process, wait, write_program};

/// The outcome of a connection as far as the host key decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is established, including forwards.
    Accepted,
    /// It is refused.
    Refused,
    /// A person is asked, and refuses.
    Asks,
}

/// A person who answers no to everything, through `SSH_ASKPASS`.
#[derive(Debug)]
pub(crate) struct Naysayer {
    directory: TempDir,
}

impl Naysayer {
    pub(crate) fn new() -> Self {
        let directory = TempDir::with_prefix("sockeye-ask-").expect("a temporary directory");
        let naysayer = Self { directory };
        let script =
            format!("#!/bin/sh\necho \"$1\" >>'{}'\necho no\n", naysayer.asked_path().display());
        write_program(&naysayer.script(), &script);
        naysayer
    }

    /// The verdict of `ssh`: a forward must work, since that is what a proxy does, and `ssh`
    /// refuses forwards if it continues with an untrusted key.
    pub(crate) fn verdict_of_ssh(&self, config: &Path) -> (Verdict, String) {
        let socket = self.directory.path().join("forward");
        let _ = fs::remove_file(&socket);
        let mut ssh = command("ssh");
        ssh.arg("-F").arg(config).args(["-o", "ExitOnForwardFailure=yes", "-L"]);
        ssh.arg(format!("{}:127.0.0.1:1", socket.display())).args([HOST, "true"]);
        let output = self.present(&mut ssh).stdin(Stdio::null()).output().expect("ssh");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (self.verdict(output.status.success()), said)
    }

    /// The verdict of the program.
    pub(crate) fn verdict_of_program(&self, config: &Path) -> (Verdict, String) {
        let mut command = program();
        command.arg("-F").arg(config).args(["-D", "127.0.0.1:0", HOST]);
        let sockeye = Sockeye::spawn_as_is(self.present(&mut command));
        let connected = wait::until_some("the program connects or ends", || {
            let ended = !process::is_running(sockeye.pid());
            if sockeye.log().contains("connected to ") {
                return Some(true);
            }
            ended.then_some(false)
        });
        (self.verdict(connected), sockeye.log())
    }

    /// Makes this person answer the questions of a command, and forgets earlier ones.
    fn present<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let _ = fs::remove_file(self.asked_path());
        command.env("SSH_ASKPASS", self.script()).env("SSH_ASKPASS_REQUIRE", "force")
    }

    fn verdict(&self, connected: bool) -> Verdict {
        match (connected, self.asked_path().exists()) {
            (true, _) => Verdict::Accepted,
            (false, true) => Verdict::Asks,
            (false, false) => Verdict::Refused,
        }
    }

    fn script(&self) -> PathBuf {
        self.directory.path().join("ask")
    }

    fn asked_path(&self) -> PathBuf {
        self.directory.path().join("asked")
    }
}
