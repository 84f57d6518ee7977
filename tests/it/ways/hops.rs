//! Three jump hosts, this program as a `ProxyCommand`, and a server of the file as a jump host.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::thread;

use rustix::process::Signal;

use super::{assert_download, assert_logins, config, logins, start_in_vain};
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, process, wait};

/// The server and three jump hosts on the way to it, all of them real.
struct Chain {
    far: Sshd,
    hops: [Sshd; 3],
}

impl Chain {
    fn start() -> Self {
        Self { far: Sshd::start(), hops: [(); 3].map(|()| Sshd::start()) }
    }

    fn config(&self) -> PathBuf {
        let [first, second, third] = &self.hops;
        config(&[
            (HOST, &self.far, &[]),
            ("first", first, &[]),
            ("second", second, &[]),
            ("third", third, &[]),
        ])
    }
}

const JUMP: [&str; 5] = ["-J", "first,second,third", "--sessions", "1", "-v"];

#[test]
#[ignore = "needs sshd"]
fn over_three_hops() {
    let chain = Chain::start();
    let proxy = Sockeye::with(&chain.config(), &JUMP);
    assert_download(&proxy, 8 << 20);
    let [first, second, third] = &chain.hops;
    assert_logins(&proxy, &[first, second, third, &chain.far].map(|sshd| (sshd, 1)));
}

#[test]
#[ignore = "needs sshd"]
fn the_hop_in_the_middle_dies_in_a_download() {
    let chain = Chain::start();
    let proxy = Sockeye::with(&chain.config(), &JUMP);
    let flood = Target::flood();
    let mut cut = Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port());
    let reading = thread::spawn(move || io::copy(&mut cut, &mut io::sink()));
    chain.hops[1].kill_children();
    let ended = reading.join().expect("no panic");
    assert!(ended.is_err(), "a cut is never a clean end: {ended:?}");
    assert_download(&proxy, 1 << 20);
    assert!(logins(&chain.hops[1]) >= 2, "the way goes over it again");
}

#[test]
#[ignore = "needs sshd"]
fn the_key_of_the_hop_in_the_middle_has_changed() {
    let chain = Chain::start();
    let config = chain.config();
    let login = chain.hops[1].login();
    login.know_host(chain.hops[1].port(), &login.make_key("other"));
    let output = start_in_vain(&config, &JUMP);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("at the jump host second: THE HOST KEY OF"), "{said}");
    assert_eq!(logins(&chain.hops[1]) + logins(&chain.hops[2]) + logins(&chain.far), 0);
}

/// The session is carried by another instance of this program, through its standard input and
/// output. It ends with its parent, however that ends.
#[test]
#[ignore = "needs sshd"]
fn through_this_program() {
    let (far, near) = (Sshd::start(), Sshd::start());
    let inner = config(&[("near", &near, &[])]);
    let ourselves = program();
    let ourselves = ourselves.get_program().display();
    let command = format!("ProxyCommand {ourselves} -q -F {} -W %h:%p near", inner.display());
    let outer = config(&[(HOST, &far, &[&command])]);
    for (count, ending) in [(1, Signal::TERM), (2, Signal::KILL)] {
        let mut proxy = Sockeye::single(&outer);
        assert_download(&proxy, 8 << 20);
        assert!(logins(&near) >= count && logins(&far) >= count, "it goes over both");
        let ours = process::descendants(proxy.pid());
        assert!(!ours.is_empty(), "the route is a program");
        process::signal(proxy.pid(), ending);
        let status = proxy.wait();
        assert_eq!(status.code(), (ending == Signal::TERM).then_some(0), "{status}");
        wait::until("it exits too", || ours.iter().all(|&pid| !process::is_running(pid)));
    }
}

/// The setting that makes one server a jump host of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// `ssh_config`, by `ProxyJump`.
    SshConfig,
    /// The configuration file, by `jump`.
    File,
}

/// Two servers of a configuration file, one of them a jump host of the other, and a forward over each.
struct OnTheWay {
    far: Sshd,
    near: Sshd,
    ssh_config: PathBuf,
    says: Says,
    echo: Target,
    ports: BTreeMap<&'static str, u16>,
}

impl OnTheWay {
    fn start(says: Says) -> Self {
        let (far, near) = (Sshd::start(), Sshd::start());
        let lines: &[&str] = if says == Says::SshConfig { &["ProxyJump near"] } else { &[] };
        let ssh_config = config(&[("far", &far, lines), ("near", &near, &[])]);
        let ports = BTreeMap::from([("far", free_port()), ("near", free_port())]);
        Self { far, near, ssh_config, says, echo: Target::echo(), ports }
    }

    /// The section of a server in the file, with its forward.
    fn section(&self, name: &str) -> String {
        let jump = if self.says == Says::File && name == "far" { "jump = \"near\"\n" } else { "" };
        format!(
            "[server.{name}]\nssh_config = \"{}\"\nsessions = \"1\"\n{jump}\
             [[forward]]\nlocal = \"127.0.0.1:{}\"\nto = \"127.0.0.1:{}\"\nvia = \"{name}\"\n",
            self.ssh_config.display(),
            self.ports[name],
            self.echo.port(),
        )
    }

    /// Waits until these forwards work.
    fn wait_for(&self, names: &[&str]) {
        for name in names {
            wait::until(&format!("{name} carries"), || echoes(self.ports[name]));
        }
    }

    /// Sees to it that there were so many logins at the one on the way, and so many at the other.
    #[track_caller]
    fn assert_logins(&self, proxy: &Sockeye, near: usize, far: usize) {
        assert_logins(proxy, &[(&self.near, near), (&self.far, far)]);
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_hop_that_is_a_server_of_the_file_has_one_pool() {
    for (order, says) in [
        (["far", "near"], Says::SshConfig),
        (["near", "far"], Says::SshConfig),
        (["far", "near"], Says::File),
        (["near", "far"], Says::File),
    ] {
        let servers = OnTheWay::start(says);
        let configuration = Configuration::with(&order.map(|name| servers.section(name)).concat());
        let proxy = configuration.start();
        servers.wait_for(&order);
        servers.assert_logins(&proxy, 1, 1);
        // What is lost comes back over the same one.
        servers.near.kill_children();
        servers.wait_for(&order);
        servers.assert_logins(&proxy, 2, 2);
    }
}

/// Existing sessions stay on the former pool.
#[test]
#[ignore = "needs sshd"]
fn a_hop_that_becomes_a_server_of_the_file_has_a_second_pool() {
    let servers = OnTheWay::start(Says::SshConfig);
    let configuration = Configuration::with(&servers.section("far"));
    let proxy = configuration.start();
    servers.wait_for(&["far"]);
    servers.assert_logins(&proxy, 1, 1);
    configuration.write("config.toml", &(servers.section("far") + &servers.section("near")));
    configuration.reload();
    servers.wait_for(&["far", "near"]);
    servers.assert_logins(&proxy, 2, 1);
}

/// Connections over the former pool are not cut, and return over its replacement.
#[test]
#[ignore = "needs sshd"]
fn a_hop_that_a_reload_restarts_has_one_pool() {
    let servers = OnTheWay::start(Says::SshConfig);
    let (far, near) = (servers.section("far"), servers.section("near"));
    let configuration = Configuration::with(&(far.clone() + &near));
    let proxy = configuration.start();
    servers.wait_for(&["far", "near"]);
    servers.assert_logins(&proxy, 1, 1);
    let anew = near.replace("sessions = \"1\"", "sessions = \"1..2\"");
    configuration.write("config.toml", &(far + &anew));
    configuration.reload();
    servers.wait_for(&["far", "near"]);
    servers.far.kill_children();
    servers.wait_for(&["far"]);
    servers.assert_logins(&proxy, 2, 2);
}

/// The server behind the hop need not change for that, and the former address is no longer used.
#[test]
#[ignore = "needs sshd"]
fn a_hop_that_has_moved_is_found_after_a_reload() {
    let (servers, moved) = (OnTheWay::start(Says::SshConfig), Sshd::start());
    let configuration = Configuration::with(&servers.section("far"));
    let proxy = configuration.start();
    servers.wait_for(&["far"]);
    servers.assert_logins(&proxy, 1, 1);
    config(&[("far", &servers.far, &["ProxyJump near"]), ("near", &moved, &[])]);
    configuration.reload();
    servers.far.kill_children();
    servers.wait_for(&["far"]);
    wait::until("the former place is left", || servers.near.children().is_empty());
    assert_logins(&proxy, &[(&servers.near, 1), (&moved, 1), (&servers.far, 2)]);
}

#[test]
#[ignore = "needs sshd"]
fn a_hop_is_disconnected_with_the_last_server_behind_it() {
    let (servers, other) = (OnTheWay::start(Says::SshConfig), Sshd::start());
    let stays = format!(
        "{}[[forward]]\nlocal = \"127.0.0.1:{}\"\nto = \"127.0.0.1:{}\"\nvia = \"other\"\n",
        server("other", &other),
        free_port(),
        servers.echo.port(),
    );
    let configuration = Configuration::with(&(stays.clone() + &servers.section("far")));
    let proxy = configuration.start();
    servers.wait_for(&["far"]);
    configuration.write("config.toml", &stays);
    configuration.reload();
    for sshd in [&servers.far, &servers.near] {
        wait::until("it is disconnected", || sshd.children().is_empty());
    }
    servers.assert_logins(&proxy, 1, 1);
}

/// Connections over it are not cut, and later sessions take a route without it.
#[test]
#[ignore = "needs sshd"]
fn a_hop_that_leaves_the_file_may_still_be_used() {
    let servers = OnTheWay::start(Says::SshConfig);
    let configuration = Configuration::with(&(servers.section("far") + &servers.section("near")));
    let proxy = configuration.start();
    servers.wait_for(&["far", "near"]);
    let mut kept = TcpStream::connect((Ipv4Addr::LOCALHOST, servers.ports["far"])).expect("it");
    echo(&mut kept).expect("it carries");
    configuration.write("config.toml", &servers.section("far"));
    configuration.reload();
    echo(&mut kept).expect("it goes on");
    servers.wait_for(&["far"]);
    servers.assert_logins(&proxy, 1, 1);
    servers.far.kill_children();
    servers.wait_for(&["far"]);
    servers.assert_logins(&proxy, 2, 2);
}

/// Whether a local port leads to an echo.
fn echoes(port: u16) -> bool {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    stream.and_then(|mut stream| echo(&mut stream)).is_ok()
}

/// Sends a byte, and waits for it to come back.
fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(wait::LONG))?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}
