//! Observers: they see the current state and what they asked for, and no longer than they look.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::iter;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::Signal;
use sockeye::guide::TOPICS;

use super::desk::{Desk, echoes};
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::program::program;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, process, wait};

/// A command that keeps running. Dropping it kills it.
struct GoingOn {
    child: Child,
    /// The lines of its standard error as they arrive.
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
        self.let_in(&mut command).args(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program under test");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (tell, notes) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        GoingOn { child, notes }
    }

    /// What `/readyz` answers to a client that makes no other request.
    fn readiness(&self) -> String {
        let mut curl = command("curl");
        curl.args(["-s", "--unix-socket"]).arg(self.socket(HOST));
        let output = curl.arg("http://localhost/readyz").output().expect("curl");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

#[test]
#[ignore = "needs sshd, curl"]
fn passive_observers_notice_that_a_path_works_again() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    desk.say("wait").expect(0);
    assert_eq!(desk.readiness(), "ok\n");
    let signal = |signal| sshd.children().into_iter().for_each(|pid| process::signal(pid, signal));
    // Another session does not help.
    wait::until("it stands still", || {
        signal(Signal::STOP);
        desk.status()["servers"][0]["path"] == "silent"
    });
    assert!(desk.readiness().starts_with("down\n"), "{}", desk.readiness());
    signal(Signal::CONT);
    wait::until("it goes on", || desk.readiness() == "ok\n");
}

#[test]
#[ignore = "needs sshd"]
fn a_watcher_sees_matching_connections_until_its_output_is_closed() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let (meant, other) = (Target::echo(), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let open = |host, target: &Target| {
        assert!(echoes(&mut Protocol::Socks5.open(proxy.address(), host, target.port())));
    };
    let words = ["connections", "--watch", "--host", "localhost"];
    let mut watching = desk.start_saying(&words);
    let mut told = BufReader::new(watching.child.stdout.take().expect("a pipe")).lines();
    let mut pinging = desk.start_saying(&["ping", "--count", "100000"]);
    drop(pinging.child.stdout.take());
    let first = thread::scope(|scope| {
        let line = scope.spawn(|| told.next().expect("a line").expect("text"));
        wait::until("it is reported", || {
            open("127.0.0.1", &other);
            open("localhost", &meant);
            line.is_finished()
        });
        line.join().expect("no panic")
    });
    let target = format!("localhost:{}", meant.port());
    assert!(first.contains(&target), "{first}");
    drop(told);
    for (name, mut going_on) in [("watching", watching), ("pinging", pinging)] {
        let end = wait::until_some(name, || {
            open("localhost", &meant);
            going_on.child.try_wait().expect("a child")
        });
        assert!(end.success(), "{name}: {end}");
    }
    let silent = desk.say("status --json --quiet").expect(0);
    assert_eq!(silent.out, "");
}

#[test]
#[ignore = "needs sshd"]
fn a_watcher_that_does_not_read_is_told_of_gaps() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let mut watching = desk.start_saying(&["connections", "--watch"]);
    // Far more than pipes and queues hold.
    for _ in 0..2500 {
        Protocol::Socks5.refusal(proxy.address(), "127.0.0.1", 1);
    }
    let mut told = watching.child.stdout.take().expect("a pipe");
    thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    let note = watching.note();
    assert!(note.contains("some are missing here"), "{note}");
    drop(proxy);
    // On a busy machine there may be several gaps.
    let last = iter::repeat_with(|| watching.note()).find(|note| !note.contains("are missing"));
    assert_eq!(last.as_deref(), Some("the program has ended"));
    assert!(watching.child.wait().expect("a child").success());
}

#[test]
#[ignore = "needs sshd"]
fn a_forward_that_the_file_has_taken_over_is_removed_with_the_file() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let [first, here, there, kept] = [(); 4].map(|()| free_port());
    let listen = |port: u16| format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\n");
    let before = format!("[default]\nvia = \"box\"\n{}{}", listen(first), server("box", &sshd));
    let configuration = Configuration::with(&before);
    let proxy = desk.start_by(&configuration);
    for port in [here, kept] {
        desk.say(&format!("forward add -D 127.0.0.1:{port}")).expect(0);
    }
    desk.say(&format!("forward add -R {there}:127.0.0.1:9")).expect(0);
    desk.say("forward add --name chosen -R 0:127.0.0.1:9").expect(0);
    let remote =
        |at: u16| format!("[[forward]]\nremote = \"{at}\"\nto = \"127.0.0.1:9\"\non = \"box\"\n");
    // A refused reload takes nothing over.
    configuration.write("config.toml", &format!("{before}{}nonsense = 1\n", listen(here)));
    desk.say("reload").expect(1);
    for text in [format!("{before}{}{}{}", listen(here), remote(there), remote(0)), before.clone()]
    {
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        wait::until("all listen", || [here, there, kept].into_iter().all(listens));
        configuration.write("config.toml", &text);
        desk.say("reload").expect(0);
    }
    let list = desk.say("forward list").expect(0).out;
    for port in [here, there] {
        assert!(
            !list.contains(&format!(" {port}")) && !list.contains(&format!(":{port}")),
            "{list}"
        );
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port}: {list}");
    }
    for what in [format!("127.0.0.1:{kept}"), "(chosen)".to_owned()] {
        assert!(list.contains(&what), "the file never had it: {list}");
    }
    drop(proxy);
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_delay_test_of_a_group_tests_its_servers_concurrently() {
    let (desk, sshd, port) = (Desk::new(), Sshd::start(), free_port());
    let configuration = Configuration::with(&format!(
        "[default]\nvia = [\"one\", \"two\"]\n[[listen]]\naddress = \"127.0.0.1:{}\"\n\
         [dashboard]\naddress = \"127.0.0.1:{port}\"\n{}{}",
        free_port(),
        server("one", &sshd),
        server("two", &sshd)
    ));
    let _proxy = desk.start_by(&configuration);
    desk.say("wait").expect(0);
    let token = desk.say("dashboard --token").expect(0).out;
    sshd.children().into_iter().for_each(|pid| process::signal(pid, Signal::STOP));
    let mut curl = command("curl");
    curl.args(["-s", "-H", &format!("Authorization: Bearer {}", token.trim())]);
    let test = "delay?timeout=60000&url=http%3A%2F%2F127.0.0.1%3A9%2F";
    curl.arg(format!("http://127.0.0.1:{port}/group/GLOBAL/{test}"));
    let mut asking = curl.stdout(Stdio::null()).spawn().expect("curl");
    wait::until("both are asked", || {
        desk.say("connections --listener (ping)").expect(0).out.lines().count() == 2
    });
    asking.kill().and_then(|()| asking.wait().map(drop)).expect("a child");
    sshd.children().into_iter().for_each(|pid| process::signal(pid, Signal::CONT));
}

/// The modes keep others away. Where somebody has opened them, the program looks who it is.
#[test]
#[ignore = "needs sshd, curl, setpriv, root"]
fn another_user_is_not_heard_at_the_control_socket() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let socket = desk.socket(HOST);
    let status = |words: &[&str]| {
        let mut curl = command(words[0]);
        curl.args(&words[1..]).args(["-sS", "http://localhost/v1/status", "--unix-socket"]);
        curl.arg(&socket).output().expect("it runs").stdout
    };
    assert!(status(&["curl"]).starts_with(b"{"));
    for (path, mode) in [(&socket, 0o666), (&desk.directory.path().join("sockeye"), 0o711)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    fs::set_permissions(desk.directory.path(), Permissions::from_mode(0o711)).expect("it is ours");
    let other = status(&["setpriv", "--reuid=65534", "--clear-groups", "curl"]);
    assert_eq!(String::from_utf8_lossy(&other), "");
    assert!(status(&["curl"]).starts_with(b"{"), "others are still answered");
}

/// What the guide names is what there is, and all of it.
#[test]
#[ignore = "needs sshd, curl"]
fn the_guide_names_every_metric() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let mut curl = command("curl");
    curl.args(["-sS", "--unix-socket"]).arg(desk.socket(HOST));
    let output = curl.arg("http://localhost/metrics").output().expect("curl");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE sockeye_"));
    let mut there: Vec<_> = types.filter_map(|line| line.split(' ').next()).collect();
    let page = TOPICS.iter().find(|topic| topic.name == "operating").expect("a page").text;
    let (_, list) = page.split_once("\nBy server: ").expect("the list");
    let (list, _) = list.split_once("All names begin").expect("its end");
    let mut named: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    there.sort_unstable();
    named.sort_unstable();
    assert_eq!(there, named);
}
