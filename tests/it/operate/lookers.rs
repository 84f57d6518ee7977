//! Those who only look: they see what is now, what they asked for, and no longer than they look.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::Signal;

use super::desk::{Desk, echoes};
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::program::program;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, process, wait};

/// A command that goes on. Dropping it kills it.
struct GoingOn {
    child: Child,
    /// The lines of its standard error, as they come.
    notes: Receiver<String>,
}

impl GoingOn {
    fn note(&self) -> String {
        self.notes.recv_timeout(wait::LONG).expect("a line")
    }
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Desk {
    fn start_saying(&self, words: &[&str]) -> GoingOn {
        let mut command = program();
        command.env("XDG_RUNTIME_DIR", self.directory.path()).args(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program under test");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (tell, notes) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        GoingOn { child, notes }
    }

    /// What `/readyz` says to whoever asks for nothing else.
    fn readiness(&self) -> String {
        let mut curl = command("curl");
        curl.args(["-s", "--unix-socket"]).arg(self.socket(HOST));
        let output = curl.arg("http://localhost/readyz").output().expect("curl");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_path_that_is_there_again_is_found_by_those_who_only_look() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    desk.say("wait").expect(0);
    assert_eq!(desk.readiness(), "ok\n");
    let signal = |signal| sshd.children().into_iter().for_each(|pid| process::signal(pid, signal));
    // Another session is no better.
    wait::until("it stands still", || {
        signal(Signal::STOP);
        desk.status()["servers"][0]["path"] == "silent"
    });
    assert!(desk.readiness().starts_with("down\n"), "{}", desk.readiness());
    signal(Signal::CONT);
    wait::until("it goes on", || desk.readiness() == "ok\n");
}
