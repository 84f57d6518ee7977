//! `sockeye top` on a terminal: in a shell, over ssh, in tmux.

use std::net::TcpStream;
use std::process::{Command, Output};

use rustix::process::Signal;
use tempfile::TempDir;

use super::desk::{Desk, echoes};
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::program::program;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::terminal::Terminal;
use crate::support::{command, free_port, process, wait};

impl Desk {
    /// A shell with job control on a terminal, with `top` as the command.
    fn shell(&self) -> Terminal {
        // The caller of the tests may ignore signals, as with nohup and a script's `&`, and no shell
        // can undo that.
        let mut bash = command("env");
        bash.args(["--default-signal", "bash", "--norc", "--noprofile", "-i"])
            .env("PS1", "ready> ")
            .env("PS0", "");
        self.let_in(&mut bash).env("LC_ALL", "C.UTF-8");
        let mut terminal = Terminal::start(&bash);
        terminal.wait_for("ready> ");
        let program = program();
        let program = program.get_program().display();
        terminal.press(&format!("alias top='{program} top'; clear\n"));
        terminal
    }
}

/// Checks that the shell is back, with the terminal restored.
fn is_back(terminal: &mut Terminal) {
    wait::until("the screen is given back", || !terminal.is_taken());
    terminal.press("stty -a; echo it is $((40 + 2))\n");
    terminal.wait_for("it is 42");
    let shown = terminal.contents();
    let modes: Vec<_> = shown.split_whitespace().collect();
    for mode in ["icanon", "echo", "isig", "icrnl", "opost"] {
        assert!(modes.contains(&mode), "{mode}: {shown}");
    }
    terminal.press("clear\n");
}

fn open(desk: &Desk, target: &Target) -> TcpStream {
    let status = desk.status();
    let address = status["forwards"][0]["addresses"][0].as_str().expect("an address").to_owned();
    let mut stream =
        Protocol::Socks5.open(address.parse().expect("TCP"), "127.0.0.1", target.port());
    assert!(echoes(&mut stream));
    stream
}

#[test]
#[ignore = "needs sshd"]
fn it_shows_and_controls_and_restores_the_terminal() {
    let (desk, mut sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let (mut victim, mut other) = (open(&desk, &echo), open(&desk, &echo));
    let mut terminal = desk.shell();
    terminal.press("top\n");
    let target = format!("127.0.0.1:{}", echo.port());
    terminal.wait_until("both are listed", |shown| shown.matches(&target).count() == 2);
    assert!(terminal.is_taken() && terminal.has_colours());
    let shown = terminal.contents();
    assert!(shown.contains(&format!("sockeye {HOST}: ready")), "{shown}");

    // Opens the details of one, then ends it. The first of two idle connections is the newest.
    terminal.press("s\x1b[H\r");
    terminal.wait_for("first byte");
    terminal.press("k");
    terminal.wait_for("Its client is reset");
    terminal.press("n");
    terminal.wait_until("the question is gone", |shown| !shown.contains("Its client is reset"));
    assert!(echoes(&mut victim) && echoes(&mut other), "nothing was ended");
    terminal.press("ky");
    terminal.wait_for("killed");
    wait::until("one has ended, and one alone", || {
        let left = [&mut victim, &mut other].map(echoes);
        assert_ne!(left, [false; 2]);
        left != [true; 2]
    });
    terminal.press("\x1b");
    terminal.wait_until("one is left", |shown| shown.matches(&target).count() == 1);

    terminal.press("3");
    terminal.wait_for("(default)");
    terminal.press("5");
    terminal.press("\x1a");
    terminal.wait_for("Stopped");
    is_back(&mut terminal);
    terminal.press("fg\n");
    terminal.wait_for("5 events");
    assert!(terminal.is_taken());

    sshd.stop();
    terminal.wait_for("has ended: ");
    terminal.wait_for("! server ");
    process::signal(proxy.pid(), Signal::STOP);
    terminal.wait_for("the program has not answered for ");
    process::signal(proxy.pid(), Signal::CONT);
    terminal.wait_until("it answers", |shown| !shown.contains("has not answered"));
    drop(proxy);
    terminal.wait_for("trying again");
    sshd.start_again();
    let again = desk.start(&sshd.ssh_config(), &[]);
    terminal.wait_for(&format!("pid {}", again.pid()));
    terminal.press("q");
    is_back(&mut terminal);
}

#[test]
#[ignore = "needs sshd"]
fn a_reload_is_among_the_events() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let file = format!(
        "[default]\nvia = \"box\"\n[[listen]]\naddress = \"127.0.0.1:{}\"\n{}",
        free_port(),
        server("box", &sshd)
    );
    let configuration = Configuration::with(&file);
    let _proxy = desk.start_by(&configuration);
    let mut terminal = desk.shell();
    terminal.press("top\n");
    terminal.wait_for(": ready");
    terminal.press("5");
    desk.say("reload").expect(0);
    terminal.wait_for("configuration: reloaded");
    configuration.write("config.toml", &format!("{file}nonsense = 1\n"));
    desk.say("reload").expect(1);
    terminal.wait_for("configuration: not reloaded");
    terminal.press("q");
    is_back(&mut terminal);
}

#[test]
#[ignore = "needs sshd"]
fn a_signal_restores_the_terminal() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let mut terminal = desk.shell();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        terminal.press("top\n");
        terminal.wait_for(&format!("sockeye {HOST}: ready"));
        let [top] = process::descendants(terminal.pid())[..] else { panic!("one child") };
        process::signal(top, signal);
        is_back(&mut terminal);
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn it_works_over_ssh_without_colours() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let (directory, program) = (desk.directory.path().display(), program());
    let remote = format!(
        "NO_COLOR=1 LC_ALL=C XDG_RUNTIME_DIR={directory} TMPDIR={directory} {} top",
        program.get_program().display()
    );
    let mut ssh = command("ssh");
    ssh.args(["-tt", "-q", "-F"]).arg(sshd.ssh_config()).args([HOST, &remote]);
    let mut terminal = Terminal::start(&ssh);
    terminal.wait_for(&format!("pid {}", proxy.pid()));
    assert!(terminal.is_taken() && !terminal.has_colours());
    assert!(terminal.contents().is_ascii(), "{}", terminal.contents());
    // There is no shell that could continue it.
    terminal.press("\x1a?");
    terminal.wait_for("fg resumes");
    terminal.press("?q");
    assert_eq!(terminal.wait(), Some(0), "{}", terminal.contents());
    // Its last output may be read after its end.
    wait::until("the terminal is given back", || !terminal.is_taken());
}

#[test]
#[ignore = "needs sshd, tmux"]
fn it_works_in_tmux() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let folder = TempDir::with_prefix("sockeye-tmux-").expect("a directory");
    let tmux = |words: &[&str]| -> Output {
        let mut tmux = command("tmux");
        desk.let_in(&mut tmux).env("LC_ALL", "C.UTF-8");
        tmux.arg("-S").arg(folder.path().join("socket")).args(["-f", "/dev/null"]).args(words);
        tmux.output().expect("tmux")
    };
    let program = program();
    let top = format!("{} top", program.get_program().display());
    let started = tmux(&["new-session", "-d", "-x", "80", "-y", "24", &top]);
    assert!(started.status.success(), "{started:?}");
    let has =
        |text: &str| String::from_utf8_lossy(&tmux(&["capture-pane", "-p"]).stdout).contains(text);
    let shows = |text: &str| wait::until(text, || has(text));
    shows(&format!("pid {}", proxy.pid()));
    tmux(&["send-keys", "?"]);
    shows("end the selected connection");
    tmux(&["send-keys", "Escape"]);
    // A key sent right after Esc would be read as Alt and that key.
    wait::until("the help is closed", || !has("end the selected connection"));
    tmux(&["send-keys", "q"]);
    wait::until("the session is over", || !tmux(&["has-session"]).status.success());
}

#[test]
#[ignore = "needs sshd"]
fn without_a_terminal_it_says_so() {
    let desk = Desk::new();
    let said = desk.say("top").expect(2);
    assert!(said.err.contains("is not a terminal"), "{}", said.err);
    let dumb = |program: &Command| {
        let mut env = command("env");
        env.arg("TERM=dumb").arg(program.get_program()).arg("top");
        let mut terminal = Terminal::start(&env);
        assert_eq!(terminal.wait(), Some(2));
        terminal.wait_for("TERM=dumb");
    };
    dumb(&program());
    let mut nothing_runs = program();
    desk.let_in(&mut nothing_runs).arg("top");
    let mut terminal = Terminal::start(&nothing_runs);
    assert_eq!(terminal.wait(), Some(3));
    assert!(!terminal.is_taken());
}
