//! The choice among several servers, with a configuration file and real servers.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::configured::Configuration;
use crate::support::link::{Link, Quality};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::resolver::{BROKEN, Resolver};
use crate::support::socks::{Answer, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, wait};

fn server(name: &str, ssh_config: &Path, sessions: usize) -> String {
    format!(
        "[server.{name}]\nhost = \"{HOST}\"\nssh_config = \"{}\"\nsessions = {sessions}\n",
        ssh_config.display()
    )
}

/// A connection to an echo, and the place of the server that carries it.
fn open(proxy: SocketAddr, host: &str, port: u16, servers: &[&Sshd]) -> (TcpStream, usize) {
    let before: Vec<_> = servers.iter().map(|sshd| sshd.targets().len()).collect();
    let stream = Protocol::Socks5.open(proxy, host, port);
    let asked = || servers.iter().zip(&before).position(|(sshd, n)| sshd.targets().len() > *n);
    (stream, wait::until_some("a server was asked", asked))
}

fn both_connected(proxy: &Sockeye) {
    wait::until("both servers are connected", || proxy.log().matches("connected to ").count() == 2);
}

fn start(rest: &str) -> (Configuration, Sockeye, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let configuration =
        Configuration::with(&format!("[[listen]]\naddress = \"{address}\"\n{rest}"));
    let proxy = configuration.start();
    proxy.wait_for_log(&format!("listening on {address}"));
    (configuration, proxy, address)
}

#[test]
#[ignore = "needs sshd"]
fn the_nearest_carries_it_until_another_is_much_nearer() {
    let (one, two, target) = (Sshd::talkative(), Sshd::talkative(), Target::echo());
    let far = |delay| Quality { delay: Duration::from_millis(delay), rate: 0 };
    let links = [Link::with(one.port(), far(40)), Link::with(two.port(), far(80))];
    // The round trips are measured anew each second.
    let config = |sshd: &Sshd, link: &Link| {
        let options = ["ServerAliveInterval 1", "ServerAliveCountMax 30"];
        sshd.login().ssh_config(link.port(), &options)
    };
    let (configuration, proxy, address) = start(&format!(
        "{}{}[default]\nvia = [\"two\", \"one\"]\nselect = \"latency\"\n",
        server("one", &config(&one, &links[0]), 1),
        server("two", &config(&two, &links[1]), 1),
    ));
    let carrier = || open(address, "127.0.0.1", target.port(), &[&one, &two]).1;
    both_connected(&proxy);
    let at = |millis| links[0].delay(Duration::from_millis(millis));
    // An answer on a busy machine may be later than that, which makes a change legitimate at that moment.
    let stays = |server, from, to| {
        (0..5).any(|_| {
            at(from);
            wait::until("the nearer server carries it", || carrier() == server);
            at(to);
            thread::sleep(SEVERAL_PINGS);
            (carrier(), carrier()) == (server, server)
        })
    };
    assert!(stays(0, 40, 85), "a slightly longer round trip is not worth a change");
    assert!(stays(1, 300, 75), "nor is a slightly shorter one");
    at(10);
    wait::until("the first carries it again", || carrier() == 0);
    drop(configuration);
}

#[test]
#[ignore = "needs sshd"]
fn the_least_loaded_carries_it() {
    let (one, two, target) = (Sshd::talkative(), Sshd::talkative(), Target::echo());
    let (configuration, proxy, address) = start(&format!(
        "{}{}[default]\nvia = [\"one\", \"two\"]\nselect = \"balance\"\n",
        server("one", &one.ssh_config(), 1),
        server("two", &two.ssh_config(), 1),
    ));
    both_connected(&proxy);
    let servers = [&one, &two];
    let held = |count| -> Vec<_> {
        (0..count).map(|_| open(address, "127.0.0.1", target.port(), &servers)).collect()
    };
    let first = held(8);
    let of = |held: &[(TcpStream, usize)], at| held.iter().filter(|(_, s)| *s == at).count();
    assert_eq!((of(&first, 0), of(&first, 1)), (4, 4));
    // Those of the first are over, and so it is its turn until both have four again.
    let _kept: Vec<_> = first.into_iter().filter(|(_, server)| *server == 1).collect();
    wait::until("its connections are over", || {
        let status = configuration.ask("/v1/status");
        let status: Value = serde_json::from_str(&status).expect("JSON");
        let servers = status["servers"].as_array().expect("a list");
        let one = servers.iter().find(|server| server["name"] == "one").expect("the first");
        one["sessions"][0]["channels"] == 0
    });
    let second = held(4);
    assert_eq!(of(&second, 0), 4);
}

/// The rule needs the address, and the server gets the name. A name that no rule wants resolved is
/// not looked up here.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_name_is_looked_up_for_the_rule_that_wants_it_and_for_no_other() {
    let (one, two, target) = (Sshd::talkative(), Sshd::talkative(), Target::echo());
    let rules = |resolve: &str| {
        format!(
            "{}{}[[rule]]\nname = \"near\"\ncidr = \"127.0.0.0/8\"\n{resolve}via = \"one\"\n\
             [default]\nvia = \"two\"\n",
            server("one", &one.ssh_config(), 1),
            server("two", &two.ssh_config(), 1),
        )
    };
    let servers = [&one, &two];
    for (resolve, expected) in [("resolve = \"local\"\n", 0), ("", 1)] {
        let (_configuration, _proxy, address) = start(&rules(resolve));
        let (_stream, carrier) = open(address, "localhost", target.port(), &servers);
        assert_eq!(carrier, expected, "{resolve:?}");
        let asked = servers[carrier].targets();
        assert_eq!(asked.last(), Some(&format!("localhost port {}", target.port())));
    }

    for (resolve, looked_up) in [("resolve = \"local\"\n", true), ("", false)] {
        let Some(resolver) = Resolver::start() else { return };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let configuration = Configuration::with(&format!(
            "[[listen]]\naddress = \"{address}\"\n{}",
            rules(resolve)
        ));
        let mut command = resolver.command(&program().get_program().to_string_lossy());
        command.arg("--config").arg(configuration.path("config.toml"));
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log(&format!("listening on {address}"));
        // The name exists neither here, so the rule does not match, nor on the server.
        let answer = Protocol::Socks5.ask(address, "nowhere.test", target.port());
        assert!(matches!(answer, Ok(Answer::Refused(_))), "{answer:?}");
        assert_eq!(two.targets().last(), Some(&format!("nowhere.test port {}", target.port())));
        let asked = resolver.asked();
        assert_eq!(asked.iter().any(|name| name == "nowhere.test"), looked_up, "{asked:?}");
    }
}

/// The rule that rejects cannot be evaluated, so nothing may pass it.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_look_up_that_fails_lets_nothing_pass_the_rule() {
    let (sshd, target) = (Sshd::talkative(), Target::echo());
    let Some(resolver) = Resolver::start() else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let configuration = Configuration::with(&format!(
        "[[listen]]\naddress = \"{address}\"\n{}[[rule]]\nname = \"inside\"\n\
         cidr = \"127.0.0.0/8\"\nresolve = \"local\"\naction = \"reject\"\n\
         [default]\nvia = \"one\"\n",
        server("one", &sshd.ssh_config(), 1),
    ));
    let here = || resolver.command(&program().get_program().to_string_lossy());
    let mut command = here();
    command.arg("-v").arg("--config").arg(configuration.path("config.toml"));
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log(&format!("listening on {address}"));
    let answer = Protocol::Socks5.ask(address, BROKEN, target.port());
    assert!(matches!(&answer, Ok(Answer::Refused(bytes)) if bytes[1] == 4), "{answer:?}");
    proxy.wait_for_log("the name could not be looked up here");
    proxy.wait_for_log("none by the rule inside");
    assert_eq!(sshd.targets(), [""; 0]);

    let mut command = here();
    command.args(["explain", "--json", BROKEN, "--config"]).arg(configuration.path("config.toml"));
    let output = command.output().expect("the program under test");
    let told = String::from_utf8_lossy(&output.stdout);
    for part in
        ["\"action\":\"reject\"", "\"rule\":\"inside\"", "the name could not be looked up here"]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

/// Time enough for a changed round trip to be noticed.
const SEVERAL_PINGS: Duration = Duration::from_secs(4);
