//! A configuration file, and a program that runs it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::command;
use super::login::HOST;
use super::program::{Sockeye, program};
use super::sshd::Sshd;

/// A directory that contains `config.toml`.
#[derive(Debug)]
pub(crate) struct Configuration {
    directory: TempDir,
}

impl Configuration {
    /// Creates a configuration with this text.
    pub(crate) fn with(text: &str) -> Self {
        let directory = TempDir::with_prefix("sockeye-config-").expect("a temporary directory");
        let configuration = Self { directory };
        configuration.write("config.toml", text);
        configuration
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file atomically, as an editor does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!(".{name}.new"));
        fs::write(&new, text).expect("a file");
        fs::rename(&new, self.path(name)).expect("renamed");
    }

    /// A subcommand of the program with this file.
    pub(crate) fn command(&self, subcommand: &str) -> Command {
        let mut command = program();
        command.arg(subcommand).arg("--config").arg(self.path("config.toml"));
        command
    }

    /// The output of a subcommand.
    pub(crate) fn run(&self, subcommand: &str, arguments: &[&str]) -> Output {
        self.command(subcommand).args(arguments).output().expect("the program under test")
    }

    /// Starts the proxy, with a control socket next to the file.
    pub(crate) fn start(&self) -> Sockeye {
        self.start_with(&["-v"])
    }

    /// As [`Self::start`], with other arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Sockeye {
        let mut command = program();
        command.args(arguments).arg("--config").arg(self.path("config.toml"));
        command.arg("--control").arg(self.path("control.sock"));
        Sockeye::spawn(command)
    }

    /// The answer of the running program at a path of its control socket.
    pub(crate) fn ask(&self, path: &str) -> String {
        let mut curl = command("curl");
        curl.args(["-sS", "--fail", "--unix-socket"]).arg(self.path("control.sock"));
        let output = curl.arg(format!("http://localhost{path}")).output().expect("curl");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Has the program that [`Self::start`] started read the file as it is now, and waits until it is in force.
    /// What the log tells of may have begun before, since the program follows the file by itself.
    #[track_caller]
    pub(crate) fn reload(&self) {
        let mut reload = program();
        reload.arg("reload").arg("--control").arg(self.path("control.sock"));
        let output = reload.output().expect("the program under test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the proxy under `nohup`: SIGHUP is ignored where it begins.
    pub(crate) fn start_under_nohup(&self) -> Sockeye {
        let mut nohup = command("nohup");
        nohup.arg(program().get_program()).arg("-v");
        nohup.arg("--config").arg(self.path("config.toml"));
        Sockeye::spawn(nohup)
    }
}

/// The `[server.NAME]` section for a server.
pub(crate) fn server(name: &str, sshd: &Sshd) -> String {
    let config = sshd.ssh_config();
    format!("[server.{name}]\nhost = \"{HOST}\"\nssh_config = \"{}\"\n", config.display())
}
