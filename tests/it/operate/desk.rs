//! Running programs, and the commands that are sent to them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::configured::Configuration;
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::wait;

/// A runtime directory, and the programs with control sockets in it.
pub(super) struct Desk {
    pub(super) directory: TempDir,
}

/// The output and the exit status of a command.
pub(super) struct Said {
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { directory: TempDir::with_prefix("sockeye-run-").expect("a temporary directory") }
    }

    /// Makes a command find the programs of this directory, and no others.
    pub(super) fn let_in<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("XDG_RUNTIME_DIR", self.directory.path()).env("TMPDIR", self.directory.path())
    }

    /// Starts a proxy, and waits for its first session.
    pub(super) fn start(&self, ssh_config: &Path, arguments: &[&str]) -> Sockeye {
        let mut command = program();
        self.let_in(&mut command);
        command.arg("-F").arg(ssh_config).args(["-D", "127.0.0.1:0"]).args(arguments).arg(HOST);
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log("connected to ");
        proxy
    }

    /// Starts a proxy with a configuration file.
    pub(super) fn start_by(&self, configuration: &Configuration) -> Sockeye {
        let mut command = program();
        self.let_in(&mut command);
        command.arg("--config").arg(configuration.path("config.toml"));
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log("connected to ");
        proxy
    }

    /// Runs a command for these programs.
    pub(super) fn say(&self, words: &str) -> Said {
        let mut command = program();
        self.let_in(&mut command).args(words.split_whitespace());
        Said::of(command.output().expect("the program under test"))
    }

    pub(super) fn status(&self) -> Value {
        self.say("status --json").json()
    }

    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join("sockeye").join(format!("{name}.sock"))
    }
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|why| panic!("{why}: {}{}", self.out, self.err))
    }

    #[track_caller]
    pub(super) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        self
    }
}

/// Sends a byte, and reads it back.
pub(super) fn echoes(stream: &mut TcpStream) -> bool {
    stream.write_all(b"word").is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
}

/// Waits until a connection has ended, which may be a moment after the command that ends it.
pub(super) fn until_ended(stream: &mut TcpStream) {
    wait::until("it is ended", || !echoes(stream));
}

pub(super) fn connect(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().expect(address);
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(wait::LONG)).expect("a socket");
    stream
}
