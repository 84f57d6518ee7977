//! Questions on a real terminal: its keys do what they do with `ssh`.

use std::process::Command;

use crate::support::login::HOST;
use crate::support::program::program;
use crate::support::sshd::Sshd;
use crate::support::terminal::Terminal;
use crate::support::{command, free_port};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Ssh,
    Sockeye,
}

/// A server whose one key has a passphrase.
fn locked() -> Sshd {
    let sshd = Sshd::start();
    let mut lock = command("ssh-keygen");
    lock.args(["-q", "-p", "-a", "1", "-P", "", "-N", PASSPHRASE, "-f"])
        .arg(sshd.login().client_key());
    assert!(lock.output().expect("ssh-keygen").status.success());
    sshd
}

impl Asker {
    /// Its command line, for a shell.
    fn words(self, sshd: &Sshd, options: &str) -> String {
        let config = sshd.ssh_config();
        let program = match self {
            Self::Ssh => "ssh -N".to_owned(),
            Self::Sockeye => program().get_program().display().to_string(),
        };
        format!("{program} -F {} {options} -D {} {HOST}", config.display(), free_port())
    }
}

/// A shell on a terminal; signals that whoever runs the tests ignores are not ignored there.
fn bash(words: &[&str]) -> Command {
    let mut bash = command("env");
    bash.args(["--default-signal", "bash", "--norc", "--noprofile"]).args(words);
    bash.env("PS1", "ready> ").env("PS0", "");
    bash
}

#[test]
#[ignore = "needs sshd, ssh"]
fn an_interrupt_ends_the_script_too() {
    let (locked, open) = (locked(), Sshd::start());
    let unknown = "-o StrictHostKeyChecking=ask -o UserKnownHostsFile=/dev/null";
    for (server, options, question) in [
        (&locked, "", "passphrase for key"),
        (&locked, "-f", "passphrase for key"),
        (&open, unknown, "(yes/no/[fingerprint])?"),
    ] {
        for asker in [Asker::Ssh, Asker::Sockeye] {
            let words = asker.words(server, options);
            let script = format!("for n in 1 2; do {words}; done; echo all is done");
            let mut terminal = Terminal::start(&bash(&["-c", &script]));
            terminal.wait_for(question);
            terminal.press("\x03");
            // By the signal, and so without a status.
            assert_eq!(terminal.wait(), None, "{asker:?} {options}: {}", terminal.contents());
            let shown = terminal.contents();
            assert!(!shown.contains("done"), "{asker:?} {options}: {shown}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn it_can_be_suspended_while_it_asks_for_a_secret() {
    let sshd = locked();
    for asker in [Asker::Ssh, Asker::Sockeye] {
        let mut terminal = Terminal::start(&bash(&["-i"]));
        terminal.wait_for("ready> ");
        terminal.press(&format!("{} -v\n", asker.words(&sshd, "")));
        terminal.wait_for("passphrase for key");
        terminal.press("\x1a");
        terminal.wait_for("Stopped");
        terminal.press("clear; stty -a; echo it is $((40 + 2))\n");
        terminal.wait_for("it is 42");
        let shown = terminal.contents();
        assert!(shown.split_whitespace().any(|mode| mode == "echo"), "{asker:?}: {shown}");
        terminal.press("clear; fg\n");
        terminal.wait_for("passphrase for key");
        terminal.press(&format!("{PASSPHRASE}\n"));
        let port = "listening on";
        terminal.wait_until("it listens", |shown| shown.to_lowercase().contains(port));
        assert!(!terminal.contents().contains(PASSPHRASE), "{asker:?}: {}", terminal.contents());
    }
}

#[test]
#[ignore = "needs sshd"]
fn what_was_wrong_stands_before_the_next_question() {
    let sshd = locked();
    let words = Asker::Sockeye.words(&sshd, "-o NumberOfPasswordPrompts=9");
    let mut terminal = Terminal::start(&bash(&["-c", &words]));
    terminal.wait_for("passphrase for key");
    for wrong in 1..9 {
        terminal.press("wrong\n");
        terminal.wait_until("it asks again", |shown| {
            let last = shown.trim_end().lines().last().unwrap_or_default();
            shown.matches("that was not").count() == wrong
                && last.starts_with("Enter passphrase")
                && last.ends_with("':")
        });
    }
}

/// Typed without an echo.
const PASSPHRASE: &str = "open-sesame-57";
