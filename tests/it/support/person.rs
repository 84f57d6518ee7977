//! A person who answers questions through `SSH_ASKPASS`, and an agent with the person's keys.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{command, wait, write_program};

/// A person with a sequence of answers, who cancels when none are left.
#[derive(Debug)]
pub(crate) struct Person {
    directory: TempDir,
}

impl Person {
    /// A person with these answers.
    pub(crate) fn with(answers: &[&str]) -> Self {
        let directory = TempDir::with_prefix("sockeye-person-").expect("a directory");
        let person = Self { directory };
        let lines: Vec<_> = answers.iter().map(|answer| [answer, "\n"].concat()).collect();
        fs::write(person.path("answers"), lines.concat()).expect("answers");
        fs::write(person.path("asked"), "").expect("a file");
        write_program(&person.path("askpass"), ASKPASS);
        person
    }

    /// Makes a program ask this person and nobody else.
    pub(crate) fn answers(&self, program: &mut Command) {
        program.env("SSH_ASKPASS", self.path("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
    }

    /// The questions so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path("asked")).expect("the questions");
        asked.split_terminator('\u{1}').map(str::to_owned).collect()
    }

    /// The command lines and environments of the programs that asked, and of their parents.
    pub(crate) fn processes(&self) -> Vec<u8> {
        fs::read(self.path("processes")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A real `ssh-agent`. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    directory: TempDir,
}

impl Agent {
    /// Starts an empty agent.
    pub(crate) fn start() -> Self {
        Self::spawn(command("ssh-agent"))
    }

    /// Starts an agent that asks this person for confirmations.
    pub(crate) fn of(person: &Person) -> Self {
        let mut agent = command("ssh-agent");
        person.answers(&mut agent);
        Self::spawn(agent)
    }

    fn spawn(mut agent: Command) -> Self {
        let directory = TempDir::with_prefix("sockeye-agent-").expect("a directory");
        agent.arg("-D").arg("-a").arg(directory.path().join("socket"));
        let child = agent.stdout(Stdio::null()).spawn().expect("ssh-agent");
        let agent = Self { child, directory };
        // Its socket is there a moment before it listens.
        wait::until("the agent listens", || UnixStream::connect(agent.socket()).is_ok());
        agent
    }

    /// Adds a key, passing additional arguments to `ssh-add`.
    pub(crate) fn add(&self, key: &Path, arguments: &[&str]) {
        let mut add = command("ssh-add");
        add.env("SSH_AUTH_SOCK", self.socket()).arg("-q").args(arguments).arg(key);
        let output = add.output().expect("ssh-add");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The line of an `ssh_config` that names it.
    pub(crate) fn line(&self) -> String {
        format!("IdentityAgent {}", self.socket().display())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removes the first answer from the list. No secret appears in an argument of a program here.
const ASKPASS: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ >> processes
printf '%s\001' "$1" >> asked
IFS= read -r answer < answers || exit 1
sed -i 1d answers
printf '%s\n' "$answer"
"#;
