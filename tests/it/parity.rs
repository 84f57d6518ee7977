//! Command lines and configurations mean here what they mean to `ssh`: each is run with both
//! programs, on the same files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::{command, free_port, process, wait};

mod algorithms;
mod check;
mod command_line;
mod damage;
mod exposure;
mod forwards;
mod home;
mod hops;
mod login;
mod servers;
mod trust;

/// One of the two programs, running. Dropping it kills it.
#[derive(Debug)]
enum Running {
    Ssh(Child),
    Sockeye(Sockeye),
}

/// The program under test, or `ssh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Ssh,
    Sockeye,
}

const BOTH: [Client; 2] = [Client::Ssh, Client::Sockeye];

impl Client {
    /// The command line with a configuration, without a remote command.
    fn command(self, config: &Path) -> Command {
        let mut command = self.program();
        command.args(["-N", "-F"]).arg(config);
        command
    }

    /// The program without arguments.
    fn program(self) -> Command {
        match self {
            Self::Ssh => command("ssh"),
            Self::Sockeye => program(),
        }
    }

    /// Starts a master that answers to `-O`, and waits until it does.
    fn start_master(self, config: &Path, socket: &str) -> Running {
        let mut command = self.command(config);
        // Given a listener, because the default would be port 1080.
        command.args(["-S", socket, "-D", &free_port().to_string()]);
        if self == Self::Ssh {
            command.arg("-M");
        }
        command.arg(HOST);
        let running = self.start(command);
        wait::until("it answers", || self.tells(config, socket, &["check"]));
        running
    }

    /// Whether the running master accepts this `-O` command.
    fn tells(self, config: &Path, socket: &str, words: &[&str]) -> bool {
        let mut command = self.command(config);
        command.args(["-S", socket, "-O"]).args(words).arg(HOST);
        command.output().expect("it ends").status.success()
    }

    /// Starts the command without waiting.
    fn start(self, mut command: Command) -> Running {
        match self {
            Self::Ssh => {
                let command = command.stdin(Stdio::null()).stdout(Stdio::null());
                Running::Ssh(command.stderr(Stdio::null()).spawn().expect("ssh"))
            }
            Self::Sockeye => Running::Sockeye(Sockeye::spawn(command)),
        }
    }
}

impl Running {
    fn pid(&self) -> u32 {
        match self {
            Self::Ssh(child) => child.id(),
            Self::Sockeye(sockeye) => sockeye.pid(),
        }
    }

    /// Stops it, and waits until it has exited and all of its output is written.
    fn end(mut self) {
        match &mut self {
            // Repeated, because ssh ignores a signal that arrives just before it starts to wait.
            Self::Ssh(child) => wait::until("it ends", || {
                process::signal(child.id(), Signal::TERM);
                child.try_wait().expect("a child").is_some()
            }),
            Self::Sockeye(sockeye) => {
                sockeye.terminate();
                sockeye.wait();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Ssh(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The address of a port on loopback.
fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
