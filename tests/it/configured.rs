//! The configuration file: the commands that read it, its rules in action, and reloads.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::configured::{Configuration, server};
use crate::support::content::{Content, Sum};
use crate::support::program::program;
use crate::support::socks::{Answer, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, process, scaled, wait};

mod reloads;

#[test]
fn check_reports_every_mistake_with_status_2() {
    let configuration = Configuration::with(
        "[[rule]]\ndomian = \"a\"\nvia = \"bastion\"\n[[listen]]\naddress = \"0.0.0.0:1\"\n",
    );
    let output = configuration.run("check", &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).expect("text");
    for part in [
        "config.toml:2:1: unknown key 'domian' in [[rule]]; did you mean 'domain'?",
        "config.toml:3:7: there is no server 'bastion'",
        "config.toml:5:11: other machines could use the proxy 0.0.0.0:1",
        "3 mistakes",
    ] {
        assert_eq!(told.matches(part).count(), 1, "{part} is not once in\n{told}");
    }
    // The proxy reports the same, and does not start.
    let output = program()
        .arg("--config")
        .arg(configuration.path("config.toml"))
        .output()
        .expect("the program under test");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean 'domain'?"));
}

#[test]
fn an_access_log_on_a_full_disk_is_told_of_once() {
    let configuration = Configuration::with(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[default]\naction = \"reject\"\n",
    );
    let proxy = configuration.start_with(&["-v", "--access-log", "/dev/full"]);
    proxy.wait_for_log("listening on ");
    for _ in 0..3 {
        Protocol::Socks5.refusal(proxy.address(), "a.example", 80);
    }
    proxy.wait_for_log("cannot write the access log /dev/full: No space left on device");
    let told = proxy.log().matches("cannot write the access log").count();
    assert_eq!(told, 1, "{}", proxy.log());
}

#[test]
#[ignore = "needs ssh"]
fn check_asks_ssh_about_each_server() {
    let configuration = Configuration::with(
        "[server.good]\nhost = \"example.com\"\nssh_config = \"none\"\n\n\
         [server.bad]\nhost = \"example.com\"\noptions = [\"NoSuchThing=1\"]\nssh_config = \"none\"\n",
    );
    let output = configuration.run("check", &[]);
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("config.toml:5:9: [server.bad]: "), "{told}");
    assert!(told.to_lowercase().contains("nosuchthing"), "{told}");
    assert!(!told.contains("[server.good]"), "{told}");

    configuration.write("config.toml", "[server.good]\nssh_config = \"none\"\n");
    let output = configuration.run("check", &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let summary = String::from_utf8(output.stdout).expect("text");
    assert!(summary.contains("0 listeners, 1 server, 0 rules"), "{summary}");
}

#[test]
fn without_a_host_and_a_file_it_says_where_it_looked() {
    let home = tempfile::tempdir().expect("a directory");
    let wanted = home.path().join("sockeye/config.toml");
    for arguments in [&[][..], &["check"], &["explain", "a"], &["pac"]] {
        let mut command = program();
        let output = command.env("XDG_CONFIG_HOME", home.path()).args(arguments).output();
        let output = output.expect("the program under test");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(&wanted.display().to_string()), "{arguments:?}: {told}");
        assert!(told.contains("`sockeye init`"), "{arguments:?}: {told}");
    }
}

#[test]
fn flags_of_one_server_cannot_be_used_with_a_file() {
    let configuration = Configuration::with("");
    for (arguments, told) in [
        (&["-p", "22"][..], "-p cannot be used with a configuration file"),
        (&["-i", "key"], "identity = "),
        (&["--sessions", "2"], "sessions = "),
        (&["host"], "a host and --config exclude each other"),
    ] {
        let mut command = program();
        command.arg("--config").arg(configuration.path("config.toml")).args(arguments);
        let output = command.output().expect("the program under test");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn explain_gives_the_reason() {
    let configuration = Configuration::with(
        "[[listen]]\naddress = \"1080\"\nname = \"main\"\n[server.a]\n[server.b]\n\
         [[rule]]\nname = \"ads\"\nlist = \"ads.txt\"\naction = \"reject\"\n\
         [[rule]]\nname = \"alice\"\nuser = \"alice\"\nlistener = \"main\"\nvia = [\"b\", \"a\"]\n\
         [[rule]]\nname = \"near\"\ncidr = \"127.0.0.0/8\"\nresolve = \"local\"\naction = \"direct\"\n\
         [default]\nvia = \"a\"\n",
    );
    configuration.write("ads.txt", "*.ads.example\n");
    let explain = |arguments: &[&str]| {
        let output = configuration.run("explain", arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).expect("text")
    };
    let told = explain(&["x.ads.example"]);
    for part in ["x.ads.example:443", "ads.txt", "reject, by rule ads"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let told = explain(&["--json", "--user", "alice", "a.example:80", "x.ads.example"]);
    let objects: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(objects.len(), 2, "{told}");
    assert_eq!(objects[0]["destination"], "a.example:80");
    assert_eq!(objects[0]["action"], "via");
    assert_eq!(objects[0]["rule"], "alice");
    assert_eq!(objects[0]["servers"], serde_json::json!(["b", "a"]));
    assert_eq!(objects[1]["action"], "reject");
    assert_eq!(objects[0]["trace"].as_array().map(Vec::len), Some(2), "{told}");
    // The name is looked up here, unless --no-resolve is given.
    let told = explain(&["--json", "localhost:80"]);
    assert!(told.contains("\"rule\":\"near\"") && told.contains("\"action\":\"direct\""), "{told}");
    let told = explain(&["--json", "--no-resolve", "localhost:80"]);
    assert!(told.contains("\"action\":null"), "{told}");
    // There is no such listener.
    let output = configuration.run("explain", &["--listener", "mian", "a.example"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("'main'"));
}

#[test]
fn explain_knows_the_routing_of_forwards() {
    let configuration = Configuration::with(
        "[[listen]]\naddress = \"1080\"\nname = \"main\"\n[server.a]\n[server.b]\n\
         options = [\"PermitRemoteOpen=near.example:443 ads.example:443\"]\n\
         [[forward]]\nname = \"fixed\"\nlocal = \"5432\"\nto = \"ads.example:443\"\nvia = \"b\"\n\
         [[forward]]\nname = \"ruled\"\nlocal = \"5433\"\nto = \"ads.example:443\"\n\
         [[forward]]\nname = \"back\"\nremote = \"8080\"\non = \"b\"\nto = \"far.example:443\"\n\
         [[forward]]\nname = \"open\"\nremote = \"1080\"\non = \"a\"\n\
         [[forward]]\nname = \"strict\"\nremote = \"1081\"\non = \"b\"\n\
         [[rule]]\nname = \"door\"\nlistener = \"main\"\nvia = \"a\"\n\
         [[rule]]\nname = \"ads\"\ndomain = \"ads.example\"\naction = \"reject\"\n",
    );
    let explain = |listener: &str, host: &str| {
        let run = |format: &[&str]| {
            let output =
                configuration.run("explain", &[format, &["--listener", listener, host]].concat());
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{listener} {host}: {told}");
            String::from_utf8(output.stdout).expect("text")
        };
        let object: serde_json::Value = serde_json::from_str(&run(&["--json"])).expect("an object");
        let action = object["action"].as_str().expect("a decision").to_owned();
        let text = run(&[]);
        (action, text.lines().last().unwrap_or_default().trim().to_owned())
    };
    for (listener, host, action, told) in [
        ("fixed", "ads.example", "via", "=> via b, as its forward says; its name"),
        ("ruled", "ads.example", "reject", "=> reject, by rule ads"),
        ("back", "far.example", "direct", "=> direct, as no rule matches"),
        ("open", "far.example", "direct", "=> direct, as no rule matches"),
        ("open", "ads.example", "reject", "=> reject, by rule ads"),
        ("strict", "near.example", "direct", "=> direct, as no rule matches"),
        ("strict", "ads.example", "reject", "=> reject, by rule ads"),
        ("strict", "far.example", "reject", "=> reject, by rule PermitRemoteOpen"),
        ("1080", "far.example", "via", "=> via a, by rule door"),
        ("main", "far.example", "via", "=> via a, by rule door"),
        ("5432", "ads.example", "via", "=> via b, as its forward says; its name"),
    ] {
        let explained = explain(listener, host);
        assert_eq!(explained.0, action, "{listener} {host}: {explained:?}");
        assert!(explained.1.starts_with(told), "{listener} {host}: {explained:?}");
    }
    let output = configuration.run("explain", &["--listener", "fixed", "far.example"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the forward 'fixed' leads to ads.example:443 only"), "{told}");
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Via(&'static str),
    Direct,
    Reject,
}

/// Destinations for the rules of the test below: those that a rule matches, and near misses.
const CORPUS: [&str; 16] = [
    "x.ads.test:80",
    "ads.test.:81",
    "noads.test:82",
    "my-tracker.test:83",
    "BAD.test:84",
    "below.bad.test:85",
    "worse.test:86",
    "192.0.2.9:87",
    "git.corp.test:443",
    "git.corp.test:80",
    "db12.test:8500",
    "db.test:8501",
    "10.255.255.1:8502",
    "10.255.255.1:90",
    "[fd00::1]:8503",
    "other.test:8504",
];

#[test]
#[ignore = "needs sshd"]
fn explain_agrees_with_what_happens() {
    let servers = BTreeMap::from(["one", "two"].map(|name| (name, Sshd::talkative())));
    let target = Target::echo();
    let port = free_port();
    let direct = target.port();
    let configuration = Configuration::with(&format!(
        "[[listen]]\naddress = \"127.0.0.1:{port}\"\nname = \"main\"\n\
         [[listen]]\naddress = \"127.0.0.1:{other}\"\nname = \"other\"\n{one}{two}\
         [[rule]]\nname = \"here\"\ncidr = \"127.0.0.0/8\"\nport = {direct}\naction = \"direct\"\n\
         [[rule]]\nname = \"ads\"\ndomain_suffix = \"ads.test\"\ndomain_keyword = \"track\"\n\
         list = \"blocked.txt\"\naction = \"reject\"\n\
         [[rule]]\nname = \"corp\"\ndomain = \"git.corp.test\"\ndomain_regex = '^db\\d+\\.'\n\
         cidr = [\"10.0.0.0/8\", \"fd00::/8\"]\nport = [443, \"8000-8999\"]\nvia = \"two\"\n\
         [[rule]]\nname = \"door\"\nlistener = \"other\"\naction = \"reject\"\n\
         [default]\nvia = [\"one\", \"two\"]\n",
        other = free_port(),
        one = server("one", &servers["one"]),
        two = server("two", &servers["two"]),
    ));
    configuration.write("blocked.txt", "bad.test\n0.0.0.0 worse.test\n192.0.2.0/24\n");
    let proxy = configuration.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    proxy.wait_for_log(&format!("listening on {address}"));

    let own = format!("127.0.0.1:{direct}");
    let texts = [&[&*own][..], &CORPUS].concat();
    let output =
        configuration.run("explain", &[&["--json", "--listener", "main"], &*texts].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let explained = String::from_utf8(output.stdout).expect("text");
    let mut seen = BTreeMap::from([("via", 0), ("direct", 0), ("reject", 0)]);
    for (text, line) in texts.iter().zip(explained.lines()) {
        let told: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let action = told["action"].as_str().expect("an action");
        *seen.get_mut(action).expect("an action that there is") += 1;
        match happens(address, text, &servers) {
            Way::Via(server) => {
                assert_eq!((action, told["servers"][0].as_str()), ("via", Some(server)), "{text}");
            }
            Way::Direct => assert_eq!(action, "direct", "{text}"),
            Way::Reject => assert_eq!(action, "reject", "{text}"),
        }
    }
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");
}

/// Asks for a destination and finds out which way the request went.
fn happens(proxy: SocketAddr, text: &str, servers: &BTreeMap<&'static str, Sshd>) -> Way {
    let (host, port) = text.rsplit_once(':').expect("host:port");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().expect("a port");
    let end = format!(" port {port}");
    let asked = |sshd: &Sshd| sshd.targets().iter().any(|target| target.ends_with(&end));
    match Protocol::Socks5.ask(proxy, host, port).expect("an answer") {
        Answer::Refused(answer) if answer[1] == NOT_ALLOWED => {
            assert!(!servers.values().any(asked), "{text} was refused here");
            Way::Reject
        }
        answer => {
            let carrier = servers.iter().find(|(_, sshd)| asked(sshd));
            match (carrier, answer) {
                (Some((name, _)), _) => Way::Via(name),
                (None, Answer::Open(_)) => Way::Direct,
                (None, refused) => panic!("{text}: {refused:?}, and no server was asked"),
            }
        }
    }
}

/// SOCKS5 "connection not allowed by ruleset" (RFC 1928 section 6).
const NOT_ALLOWED: u8 = 2;
