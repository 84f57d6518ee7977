//! Each command, with a server that forwards, one that is dead, one that forbids forwarding, with two instances
//! and with none.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::desk::{Desk, connect, echoes, until_ended};
use crate::support::configured::Configuration;
use crate::support::foreign::{Foreign, Make};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, process, wait};

/// Every command that needs exactly one program. None of them ends it.
const COMMANDS: &[&str] = &[
    "ping",
    "connections",
    "kill --all",
    "forward add -D 127.0.0.1:0",
    "forward list",
    "forward remove 9999",
    "reload",
    "log normal",
    "wait --timeout 0",
    "dashboard",
];

#[test]
#[ignore = "needs sshd"]
fn every_command_reports_that_there_are_none_or_two() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    for command in COMMANDS.iter().chain(&["stop", "-O exit"]) {
        let said = desk.say(command);
        let (status, words) = if command.starts_with("wait") {
            (1, "not in time")
        } else {
            (3, "no sockeye is running")
        };
        assert!(said.status == status && said.err.contains(words), "{command}: {}", said.err);
        if !command.starts_with("wait") {
            let named = desk.say(&format!("{command} -n nobody -S /nonexistent"));
            let named = if command.starts_with("-O") { said } else { named };
            assert_eq!(named.status, 3, "{command}: {}", named.err);
        }
    }
    let two = [desk.start(&sshd.ssh_config(), &[]), desk.start(&sshd.ssh_config(), &[])];
    for command in COMMANDS.iter().chain(&["stop"]) {
        let said = desk.say(command).expect(2);
        assert!(said.err.contains(&format!("{HOST}, {HOST}-2")), "{command}: {}", said.err);
    }
    let second = format!("{HOST}-2");
    for command in COMMANDS {
        let said = desk.say(&format!("{command} -n {second}"));
        // A command line has no file to reload, this forward does not exist, and neither does a dashboard.
        let wanted = command.contains("9999") || ["reload", "dashboard"].contains(command);
        let wanted = i32::from(wanted);
        assert_eq!(said.status, wanted, "{command}: {}{}", said.out, said.err);
    }
    // A command to one program does not affect the other.
    let list = |name: &str| desk.say(&format!("forward list -n {name}")).out.lines().count();
    assert_eq!((list(HOST), list(&second)), (1, 2));
    desk.say(&format!("stop {second}")).expect(0);
    wait::until("one is left", || desk.say("connections").status == 0);
    drop(two);
}

#[test]
#[ignore = "needs sshd"]
fn every_command_copes_with_a_dead_server() {
    let (desk, mut sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let mut proxy = desk.start(&sshd.ssh_config(), &["--dashboard=127.0.0.1:0"]);
    sshd.stop();
    wait::until("the loss is reported", || desk.say("status -q").status == 1);
    let address = proxy.address();
    let port = echo.port();
    let asking = thread::spawn(move || Protocol::Socks5.ask(address, "127.0.0.1", port));
    wait::until("the request is listed", || {
        desk.say("connections --state waiting").expect(0).out.contains(&format!(":{port}"))
    });
    let ended = desk.say("kill --state waiting").expect(0);
    assert!(ended.out.contains("ended: 1"), "{}", ended.out);
    drop(asking.join().expect("no panic"));
    let past = desk.say("connections --state ended").expect(0);
    assert!(past.out.contains("killed"), "{}", past.out);

    desk.say(&format!("forward add -L 127.0.0.1:0:127.0.0.1:{port}")).expect(0);
    let asked = desk.say(&format!("forward add -R 0:127.0.0.1:{port}")).expect(0);
    assert!(asked.out.contains("asking"), "{}", asked.out);
    let there = free_port();
    let twice = [0, 1]
        .map(|status| desk.say(&format!("forward add -R {there}:127.0.0.1:{port}")).expect(status));
    assert!(twice[1].err.contains("there is a listener at"), "{}", twice[1].err);
    desk.say("log debug").expect(0);
    assert!(desk.say("dashboard").expect(0).out.contains("?code="));
    let reload = desk.say("reload").expect(1);
    assert!(reload.err.contains("no configuration file"), "{}", reload.err);
    let ping = desk.say("ping --json").expect(1).json();
    assert_eq!((&ping["culprit"], &ping["opened"]), (&"session".into(), &false.into()), "{ping}");
    desk.say(&format!("-O check {HOST}")).expect(1);
    desk.say("stop --now").expect(0);
    assert!(proxy.wait().success());
}

/// dropbear keeps listening until its session ends, even when told to stop.
#[test]
#[ignore = "needs dropbear"]
fn a_forward_that_the_server_keeps_may_be_added_again() {
    let Some(server) = Foreign::start(Make::Dropbear) else { return };
    let (desk, echoes_there, there) = (Desk::new(), Target::echo(), free_port());
    let mut proxy = desk.start(&server.ssh_config(&[]), &[]);
    for port in [9, echoes_there.port()] {
        let forward = format!("-R {there}:127.0.0.1:{port}");
        let added = desk.say(&format!("forward add {forward}")).expect(0);
        assert!(added.out.contains("listening"), "{}", added.out);
        if port != 9 {
            break;
        }
        desk.say(&format!("forward remove {forward}")).expect(0);
    }
    assert!(echoes(&mut connect(&format!("127.0.0.1:{there}"))));
    desk.say("stop --now").expect(0);
    assert!(proxy.wait().success());
}

#[test]
#[ignore = "needs sshd"]
fn every_command_copes_with_a_server_that_forbids_forwarding() {
    let (desk, sshd) = (Desk::new(), Sshd::with(&["AllowTcpForwarding no"]));
    let mut proxy = desk.start(&sshd.ssh_config(), &["--dashboard=127.0.0.1:0"]);
    let refusal = Protocol::Socks5.refusal(proxy.address(), "127.0.0.1", 9);
    assert_eq!(refusal.get(1), Some(&2), "{refusal:?}");
    // A request for an address, then one for a name from the same client, which thus seems to resolve names itself.
    assert!(!desk.say("status").out.contains("look names up"));
    for host in ["203.0.113.1", "db.example"] {
        Protocol::Socks5.refusal(proxy.address(), host, 9);
    }
    let told = desk.say("status").expect(1).out;
    assert!(told.contains("look names up by themselves): 1"), "{told}");
    let past = desk.say("connections --state ended --json").expect(0);
    let past: Value = serde_json::from_str(past.out.lines().next().expect("some")).expect("JSON");
    assert!(past["failure"].as_str().is_some_and(|why| why.contains("forb")), "{past}");
    assert!(desk.say("connections").expect(0).out.is_empty());
    assert!(desk.say("kill --all").expect(0).out.contains("ended: 0"));
    desk.say("forward add -L 127.0.0.1:0:127.0.0.1:9").expect(0);
    desk.say("log trace").expect(0);
    assert!(desk.say("dashboard").expect(0).out.contains("?code="));
    desk.say("reload").expect(1);
    desk.say("stop").expect(0);
    assert!(proxy.wait().success());
}

#[test]
#[ignore = "needs sshd"]
fn connections_are_listed_watched_and_ended() {
    let (desk, sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let mut watching = program();
    desk.let_in(&mut watching).args(["connections", "--watch"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().expect("the program under test");
    let mut told = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let (lines, heard) = mpsc::channel();
    thread::spawn(move || told.by_ref().map_while(Result::ok).try_for_each(|l| lines.send(l)));
    wait::until("it is watched", || {
        assert!(echoes(&mut Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port())));
        heard.try_iter().any(|line| line.starts_with("- "))
    });
    wait::until("they have ended", || desk.say("connections").out.is_empty());
    let mut both =
        [(); 2].map(|()| Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
    assert!(both.iter_mut().all(echoes));
    let all = desk.say("connections --json --host 127.0.0.1 --min-bytes 8").expect(0);
    let all: Vec<Value> =
        all.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((&all[0]["state"], &all[0]["server"]), (&"relaying".into(), &HOST.into()));
    assert!(all[0]["stages"]["opened"].is_number(), "{}", all[0]);
    let own = std::process::id();
    wait::until("the client's program is known", || {
        let all = desk.say("connections --json").expect(0).out;
        let mut all = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        all.all(|connection| connection["process"]["pid"] == own)
    });
    let told = desk.status();
    assert_eq!(told["programs"][0]["connections"], 2, "{told}");
    assert!(desk.say("status").out.contains("\n  used by: "));
    for none in ["--host example.org", "--older 1000", "--state opening", "--user nobody"] {
        assert!(desk.say(&format!("connections {none}")).expect(0).out.is_empty(), "{none}");
    }
    let wrong = desk.say("connections --state nonsense").expect(2);
    assert!(wrong.err.contains("state"), "{}", wrong.err);
    let wrong = desk.say("kill").expect(2);
    assert!(wrong.err.contains("name the connections"), "{}", wrong.err);
    let channels = desk.say("-O channels testhost").expect(0);
    assert_eq!(channels.out.lines().count(), 2, "{}", channels.out);
    let sessions = desk.say("-O conninfo testhost").expect(0);
    let session = sessions.out.lines().next().expect("one");
    let session: Value = serde_json::from_str(session).expect("JSON");
    assert!(
        session["host_key"].as_str().is_some_and(|key| key.starts_with("SHA256:")),
        "{session}"
    );
    let ended = desk.say(&format!("kill --host 127.0.0.1 --server {HOST}")).expect(0);
    assert!(ended.out.contains("ended: 2"), "{}", ended.out);
    both.iter_mut().for_each(until_ended);
    let mut killed = 0;
    while killed < 2 {
        let line = heard.recv_timeout(wait::LONG).expect("two were ended");
        killed += usize::from(line.starts_with("- ") && line.contains(": killed"));
    }
    desk.say("stop --now").expect(0);
    assert!(watching.wait().expect("a child").success(), "what it watches has ended");
}

#[test]
#[ignore = "needs sshd"]
fn the_address_of_a_removed_forward_is_free_at_once() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let forward = format!("-D 127.0.0.1:{}", free_port());
    for _ in 0..10 {
        desk.say(&format!("forward add {forward}")).expect(0);
        desk.say(&format!("forward remove {forward}")).expect(0);
    }
}

#[test]
#[ignore = "needs sshd"]
fn the_log_level_of_a_running_program_changes() {
    let (desk, sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let request = || drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
    let level = || desk.status()["instance"]["log"].as_str().expect("a word").to_owned();
    assert_eq!(level(), "normal");
    request();
    assert!(!proxy.log().contains("DEBUG"), "{}", proxy.log());
    desk.say("log debug").expect(0);
    assert_eq!(level(), "debug");
    wait::until("it says more", || {
        request();
        proxy.log().contains("DEBUG")
    });
    desk.say("log quiet").expect(0);
    let wrong = desk.say("log loud").expect(2);
    assert!(wrong.err.contains("quiet, normal, debug, trace"), "{}", wrong.err);
    desk.say("-O forward -L nonsense host").expect(2);
    assert_eq!(level(), "quiet");
}

#[test]
#[ignore = "needs sshd"]
fn an_unresponsive_program_is_reported_in_time() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let (stopped, _other) =
        (desk.start(&sshd.ssh_config(), &[]), desk.start(&sshd.ssh_config(), &[]));
    process::signal(stopped.pid(), Signal::STOP);
    let begun = Instant::now();
    let said = desk.say("status").expect(1);
    assert!(
        said.err.contains(&format!("{HOST}.sock: the program does not answer")),
        "{}",
        said.err
    );
    assert!(said.out.contains(&format!("{HOST}-2: ready")), "the other is listed: {}", said.out);
    desk.say(&format!("status -q {HOST}")).expect(1);
    for command in ["connections", "kill --all", "forward list", "log normal"] {
        let said = desk.say(&format!("{command} -n {HOST}")).expect(1);
        assert!(said.err.contains("does not answer"), "{command}: {}", said.err);
    }
    let said = desk.say(&format!("wait --timeout 0.5 {HOST}")).expect(1);
    assert!(said.err.contains("not in time"), "{}", said.err);
    // There are six such commands with a limit of 5 s each, and one with 2 s.
    assert!(begun.elapsed() < wait::LONG * 2, "{:?}", begun.elapsed());
    process::signal(stopped.pid(), Signal::CONT);
    desk.say(&format!("wait {HOST}")).expect(0);
    desk.say("status -q").expect(0);
}

#[test]
#[ignore = "needs sshd"]
fn jump_hosts_are_reported() {
    let (desk, far, mut near) = (Desk::new(), Sshd::start(), Sshd::start());
    let hop = std::fs::read_to_string(near.ssh_config()).expect("a file");
    let config = far.login().ssh_config(far.port(), &["ProxyJump gate"]);
    let both = std::fs::read_to_string(&config).expect("a file")
        + &hop.replace(&format!("Host {HOST}"), "Host gate");
    std::fs::write(&config, both).expect("a file");
    let proxy = desk.start(&config, &[]);
    let told = desk.say("status").expect(0);
    assert!(told.out.contains("jump host gate: ready, sessions 1"), "{}", told.out);
    near.stop();
    wait::until("the hop is down", || {
        let jump = &desk.status()["servers"][0]["jumps"][0];
        jump["name"] == "gate" && jump["state"] != "ready" && jump["sessions"] == 0
    });
    near.start_again();
    wait::until("it is back", || desk.say("status").out.contains("jump host gate: ready"));
    drop(proxy);
}

#[test]
#[ignore = "needs sshd"]
fn a_draining_program_reports_no_listener() {
    let (desk, sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    let mut proxy = desk.start(&sshd.ssh_config(), &["-R", "0:127.0.0.1:9"]);
    let mut held = Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port());
    assert!(echoes(&mut held));
    wait::until("both listen", || {
        let forwards = desk.status()["forwards"].clone();
        let states = forwards.as_array().expect("a list").iter().map(|one| &one["state"]);
        states.filter(|state| *state == "listening").count() == 2
    });
    desk.say("stop").expect(0);
    wait::until("nothing listens", || desk.status()["forwards"] == Value::Array(Vec::new()));
    assert_eq!(desk.status()["state"], "draining");
    assert!(echoes(&mut held), "open connections go on");
    drop(held);
    assert!(proxy.wait().success());
}

#[test]
#[ignore = "needs sshd"]
fn a_program_started_by_cron_is_found_from_a_login() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let mut cron = program();
    desk.let_in(&mut cron).env_remove("XDG_RUNTIME_DIR");
    cron.arg("-F").arg(sshd.ssh_config()).args(["-D", "127.0.0.1:0", HOST]);
    let proxy = Sockeye::spawn(cron);
    proxy.wait_for_log("connected to ");
    let told = desk.say("status").expect(0).out;
    assert!(told.contains(&format!("pid {}", proxy.pid())), "{told}");
    desk.say("stop").expect(0);
}

#[test]
#[ignore = "needs sshd"]
fn shells_are_pointed_at_the_running_proxy() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    assert!(desk.say("env").expect(0).out.contains("//127.0.0.1:1080'"), "nothing runs");
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let told = desk.say("env").expect(0).out;
    assert!(told.contains(&format!("http_proxy='http://{}'", proxy.address())), "{told}");
    let _other = desk.start(&sshd.ssh_config(), &[]);
    let told = desk.say("env").expect(2).err;
    assert!(told.contains(&proxy.address().to_string()), "{told}");
    desk.say("env --unset").expect(0);
}

#[test]
#[ignore = "needs sshd"]
fn an_unnamed_listener_has_no_name_besides_its_address() {
    let (desk, sshd, port) = (Desk::new(), Sshd::start(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let table = format!(
        "[[listen]]\naddress = \"{listen}\"\n[server.{HOST}]\nssh_config = '{}'\n",
        sshd.ssh_config().display()
    );
    let _proxy = desk.start_by(&Configuration::with(&table));
    let told = desk.say("status").out;
    assert!(told.contains(&format!("-D {listen}: listening")), "{told}");
}
