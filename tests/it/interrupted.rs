//! A signal ends the program, whatever it waits for.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::link::Link;
use crate::support::login::{HOST, Login};
use crate::support::program::{Sockeye, program};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{process, wait, write_program};

/// A FIFO that is held open and never written to.
struct SilentPipe {
    folder: TempDir,
    _writer: fs::File,
}

impl SilentPipe {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        // Opened for both reading and writing, so that the open does not block.
        let writer = OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
        Self { folder, _writer: writer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pipe")
    }
}

/// Starts the command, waits until it is blocked where it should be, and ends it with a signal.
#[track_caller]
fn ends(state: &str, mut command: Command, is_there: impl Fn(&Sockeye) -> bool) {
    let mut sockeye = Sockeye::spawn_as_is(&mut command);
    wait::until(state, || is_there(&sockeye));
    sockeye.terminate();
    let status = sockeye.wait();
    // Until its handlers are installed, the signal kills it.
    let by_signal = status.code() == Some(143) || status.signal() == Some(Signal::TERM.as_raw());
    assert!(by_signal, "{state}: {status}: {}", sockeye.log());
}

/// Whether the process has this file open.
fn has_open(sockeye: &Sockeye, path: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{}/fd", sockeye.pid())).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|link| link == path)
}

#[test]
fn while_it_reads_a_silent_pipe() {
    let pipe = SilentPipe::new();
    let at_the_pipe = |sockeye: &Sockeye| has_open(sockeye, &pipe.path());
    for words in [&["--config"][..], &["check", "--config"], &["pac", "--config"]] {
        let mut command = program();
        command.args(words).arg(pipe.path());
        ends(&format!("{words:?}"), command, at_the_pipe);
    }
    let mut command = program();
    command.args(["explain", "--config"]).arg(pipe.path()).arg("a:80");
    ends("explain", command, at_the_pipe);
    let mut command = program();
    command.args(["-F", "none", "--proxy-auth"]).arg(pipe.path()).args(["-D", "127.0.0.1:0", HOST]);
    ends("--proxy-auth", command, at_the_pipe);
}

#[test]
fn endless_files_are_refused() {
    let pipe = SilentPipe::new();
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("config.toml");
    for list in [Path::new("/dev/zero"), &pipe.path(), Path::new("/dev/tty")] {
        let text = format!("[[rule]]\nlist = {list:?}\naction = \"reject\"\n");
        fs::write(&file, text).expect("written");
        let output = program().args(["check", "--config"]).arg(&file).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("config.toml:2:8") && told.contains("cannot be opened"), "{told}");
    }
    let output = program().args(["check", "--config", "/dev/zero"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
#[ignore = "needs ssh"]
fn while_ssh_says_nothing() {
    let folder = TempDir::new().expect("a folder");
    let (config, marker) = (folder.path().join("config"), folder.path().join("marker"));
    let text = format!("Match exec \"touch {}; sleep 1000\"\n  Port 1\n", marker.display());
    fs::write(&config, text).expect("written");
    let mut command = program();
    command.arg("-F").arg(&config).args(["-D", "127.0.0.1:0", HOST]);
    ends("ssh -G", command, |_| marker.exists());
}

#[test]
#[ignore = "needs ssh"]
fn while_it_connects() {
    // The backlog of the listening socket accepts the connection, and nothing answers.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let login = Login::new();
    let mut command = program();
    command.arg("-F").arg(login.ssh_config(port, &[])).args(["-D", "127.0.0.1:0", HOST]);
    ends("connecting", command, |_| {
        listener.set_nonblocking(true).expect("a socket");
        listener.accept().is_ok_and(|(mut stream, _)| {
            let _ = stream.set_nonblocking(false);
            stream.read(&mut [0; 4]).is_ok_and(|read| {
                // Keeps the connection open for the rest of the test.
                std::mem::forget(stream);
                read > 0
            })
        })
    });

    let folder = TempDir::new().expect("a folder");
    let marker = folder.path().join("marker");
    let command_line = format!("ProxyCommand=sh -c 'touch {}; sleep 1000'", marker.display());
    let mut command = program();
    command.args(["-F", "none", "-o", &command_line, "-D", "127.0.0.1:0", HOST]);
    ends("a proxy command", command, |_| marker.exists());
}

#[test]
#[ignore = "needs sshd"]
fn while_a_person_or_an_agent_thinks() {
    let sshd = Sshd::start();
    let folder = TempDir::new().expect("a folder");
    let (askpass, marker) = (folder.path().join("askpass"), folder.path().join("marker"));
    write_program(&askpass, &format!("#!/bin/sh\ntouch {}\nexec sleep 1000\n", marker.display()));
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).args(["-D", "127.0.0.1:0"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=ask", HOST]);
    command.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
    ends("a question", command, |_| marker.exists());

    let socket = folder.path().join("agent");
    let agent = UnixListener::bind(&socket).expect("a free path");
    agent.set_nonblocking(true).expect("a socket");
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).args(["-D", "127.0.0.1:0"]);
    command.arg("-o").arg(format!("IdentityAgent={}", socket.display()));
    command.args(["-o", "IdentitiesOnly=no", "-o", "IdentityFile=/nowhere", HOST]);
    ends("an agent", command, |_| {
        agent.accept().is_ok_and(|(mut stream, _)| {
            let _ = stream.set_nonblocking(false);
            let asked = stream.read(&mut [0; 4]).is_ok_and(|read| read > 0);
            std::mem::forget(stream);
            asked
        })
    });
}

/// Open connections have the grace period, and a second signal ends the program at once.
#[test]
#[ignore = "needs sshd"]
fn while_it_serves() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    for held in [false, true] {
        let link = Link::to(sshd.port());
        let mut sockeye = Sockeye::start(&sshd.ssh_config_through(link.port()));
        let mut open = Protocol::Socks5.open(sockeye.address(), "127.0.0.1", target.port());
        open.write_all(b"x").expect("it runs");
        if held {
            // The server does not even answer the disconnect.
            link.hold();
        }
        sockeye.terminate();
        let status = sockeye.wait();
        assert_eq!(status.code(), Some(0), "{held}: {}", sockeye.log());
    }
    let mut sockeye = Sockeye::start(&sshd.ssh_config());
    let _open = Protocol::Socks5.open(sockeye.address(), "127.0.0.1", target.port());
    process::signal(sockeye.pid(), Signal::TERM);
    sockeye.wait_for_log("stopping");
    process::signal(sockeye.pid(), Signal::TERM);
    assert_eq!(sockeye.wait().signal(), Some(Signal::TERM.as_raw()));
}
