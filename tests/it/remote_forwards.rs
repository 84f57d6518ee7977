//! `-R`: listeners on a real `sshd`, and their connections.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::content::Content;
use crate::support::curl::Curl;
use crate::support::echo::{WORDS, echoed_over_tcp, echoed_over_unix, unix_echo};
use crate::support::link::Link;
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::scripted::{HERE, NEXT_PORT, NO_PORT, PASSWORD, Script, Scripted};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::wait::{self, LONG};
use crate::support::web::Web;
use crate::support::{closed_port, free_port, process, write_program};

mod again;

/// The program with these arguments, and listeners on the server only.
fn forwarding(sshd: &Sshd, arguments: &[&str]) -> Sockeye {
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).args(arguments).arg(HOST);
    let sockeye = Sockeye::spawn(command);
    sockeye.wait_for_log("connected to ");
    sockeye
}

/// The same as [`forwarding`], once every listener is up.
fn listening(sshd: &Sshd, arguments: &[&str]) -> Sockeye {
    let sockeye = forwarding(sshd, arguments);
    let forwards = arguments.iter().filter(|argument| **argument == "-R").count();
    wait::until("the server listens", || {
        sockeye.log().matches("listening on ").count() >= forwards
    });
    sockeye
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The addresses of a port that the server chose: sshd takes one that is free in one family, even if it
/// is in use in the other.
fn at_chosen(port: u16) -> [SocketAddr; 2] {
    [at(port), (Ipv6Addr::LOCALHOST, port).into()]
}

#[test]
#[ignore = "needs sshd"]
fn every_form_leads_to_its_target() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let shown = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    unix_echo(&path("here"));
    let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
    let forwards = [
        format!("{}:localhost:{}", ports[0], echo.port()),
        format!("127.0.0.1:{}:127.0.0.1:{}", ports[1], echo.port()),
        format!("localhost:{}:{}", ports[2], shown("here")),
        format!("*:{}:[::ffff:127.0.0.1]:{}", ports[3], echo.port()),
        format!("{}:127.0.0.1:{}", shown("there"), echo.port()),
        format!("{}:{}", shown("over there"), shown("here")),
    ];
    let arguments: Vec<&str> = forwards.iter().flat_map(|f| ["-R", f.as_str()]).collect();
    let proxy = listening(&sshd, &arguments);
    for port in ports {
        assert_eq!(echoed_over_tcp(at(port)), WORDS, "port {port}");
        assert!(proxy.log().contains(&port.to_string()), "{}", proxy.log());
    }
    for name in ["there", "over there"] {
        assert_eq!(echoed_over_unix(&path(name)), WORDS, "{name}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_port_that_the_server_chose_is_reported() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let to = format!("127.0.0.1:{}", echo.port());
    let proxy = listening(&sshd, &["-R", &format!("0:{to}"), "-R", &format!("localhost:0:{to}")]);
    let log = proxy.log();
    let ports: Vec<u16> = log.lines().filter_map(chosen_port).collect();
    assert_eq!(ports.len(), 2, "{log}");
    assert!(!ports.contains(&0) && ports[0] != ports[1], "{log}");
    for port in ports {
        assert_eq!(echoed_over_tcp(&at_chosen(port)[..]), WORDS);
    }
}

/// The port in a line such as `listening on port 40000 of host (…)`, or `listening on name:40000 of …`.
fn chosen_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("listening on ")?;
    let (place, _) = rest.split_once(" of ")?;
    place.rsplit([' ', ':']).next()?.parse().ok()
}

/// Whether the server accepts a connection at one of its own addresses.
fn open(ip: [u8; 4], port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((ip, port))).is_ok()
}

#[test]
#[ignore = "needs sshd"]
fn gateway_ports_of_the_server_decide_who_may_connect() {
    let echo = Target::echo();
    // All of 127.0.0.0/8 is this machine: 127.0.0.2 tells "every interface" from "loopback", which
    // for sshd is 127.0.0.1 alone.
    let binds = ["", "localhost:", "*:", ":", "127.0.0.2:"];
    for (policy, reached) in [
        ("no", [(true, false); 5]),
        ("yes", [(true, true); 5]),
        (
            "clientspecified",
            [(true, false), (true, false), (true, true), (true, true), (false, true)],
        ),
    ] {
        let sshd = Sshd::with(&[&format!("GatewayPorts {policy}")]);
        let ports = binds.map(|_| free_port());
        let forwards: Vec<String> = binds
            .iter()
            .zip(ports)
            .map(|(bind, port)| format!("{bind}{port}:127.0.0.1:{}", echo.port()))
            .collect();
        let arguments: Vec<&str> = forwards.iter().flat_map(|f| ["-R", f.as_str()]).collect();
        let _proxy = listening(&sshd, &arguments);
        for ((bind, port), expected) in binds.iter().zip(ports).zip(reached) {
            let found = (open([127, 0, 0, 1], port), open([127, 0, 0, 2], port));
            assert_eq!(found, expected, "GatewayPorts {policy}, bind {bind:?}");
        }
    }
}

#[test]
#[ignore = "needs sshd, curl"]
fn without_a_target_it_is_a_proxy_for_the_far_side() {
    let (web, sshd, port) = (Web::start(), Sshd::start(), free_port());
    let proxy = listening(&sshd, &["--sessions", "1", "-v", "-R", &port.to_string()]);
    for scheme in ["socks5h", "socks4a", "http"] {
        let through = || Curl::through(&format!("{scheme}://127.0.0.1:{port}"));
        let fetched = through().fetch(&web.named_url("/bytes/100000"));
        assert_eq!(fetched.body(), Content::of(100_000).bytes(), "{scheme}");
        let sum = through().download(&web.url("/chunked/3000000"));
        assert_eq!(sum, Content::of(3_000_000).sum(), "{scheme}");
    }
    let tunnel = Curl::through(&format!("http://127.0.0.1:{port}")).arguments(&["--proxytunnel"]);
    let fetched = tunnel.fetch(&web.named_url("/bytes/1000"));
    assert_eq!(fetched.body(), Content::of(1000).bytes(), "CONNECT");
    wait::until("there is one session at a time", || {
        sshd.log().matches("Accepted publickey").count() == 1 + proxy.replaced()
    });
    assert!(!sshd.log().contains("connect_to"), "the requests do not go back to the server");
}

#[test]
#[ignore = "needs sshd"]
fn large_transfers_arrive_whole_in_both_directions() {
    let (port, sshd) = (free_port(), Sshd::start());
    let (target, sums) = Target::sums();
    let source = Target::source(20_000_000);
    let source_port = free_port();
    let _proxy = listening(
        &sshd,
        &[
            "-R",
            &format!("{port}:127.0.0.1:{}", target.port()),
            "-R",
            &format!("{source_port}:127.0.0.1:{}", source.port()),
        ],
    );
    let mut up = TcpStream::connect(at(port)).expect("the server listens");
    io::copy(&mut Content::of(20_000_000), &mut up).expect("it is taken");
    drop(up);
    assert_eq!(sums.recv_timeout(LONG).expect("the end"), Content::of(20_000_000).sum());
    let mut down = TcpStream::connect(at(source_port)).expect("the server listens");
    down.write_all(b"!").expect("a connection");
    let mut got = Vec::new();
    down.read_to_end(&mut got).expect("a clean end");
    assert_eq!(got, Content::of(20_000_000).bytes());
}

/// A session stalls while the only channel's reader reads nothing; one with a listener must not.
#[test]
#[ignore = "needs sshd"]
fn a_target_that_does_not_read_blocks_no_other_connection() {
    let (slow, word, sums) = Target::reluctant();
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let ports = [free_port(), free_port()];
    let forwards = [
        format!("{}:127.0.0.1:{}", ports[0], slow.port()),
        format!("{}:127.0.0.1:{}", ports[1], echo.port()),
    ];
    let arguments = ["--sessions", "1", "-R", &forwards[0], "-R", &forwards[1]];
    let _proxy = listening(&sshd, &arguments);
    let sending = thread::spawn(move || {
        let mut stream = TcpStream::connect(at(ports[0])).expect("the server listens");
        stream.set_write_timeout(Some(LONG)).expect("a socket");
        io::copy(&mut Content::of(MUCH), &mut stream).expect("it is taken");
    });
    sending.join().expect("what the target does not take waits here");
    assert_eq!(echoed_over_tcp(at(ports[1])), WORDS);
    word.send(()).expect("it waits");
    assert_eq!(sums.recv_timeout(LONG).expect("the end"), Content::of(MUCH).sum());
}

/// More than the channel window and the backlog in memory hold.
const MUCH: u64 = 120_000_000;

#[test]
#[ignore = "needs sshd"]
fn a_target_that_refuses_closes_the_connection_and_is_logged() {
    let (port, sshd, nobody) = (free_port(), Sshd::start(), closed_port());
    let proxy = listening(&sshd, &["-R", &format!("{port}:127.0.0.1:{nobody}")]);
    let mut stream = TcpStream::connect(at(port)).expect("the server listens");
    let read = stream.read(&mut [0]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    proxy.wait_for_log(&format!("to 127.0.0.1:{nobody}: "));
    assert!(proxy.log().contains("refused"), "{}", proxy.log());
}

#[test]
#[ignore = "needs sshd"]
fn a_cut_is_a_reset_for_the_target_and_never_an_end() {
    let (sshd, port) = (Sshd::start(), free_port());
    let (ends, ended) = mpsc::channel();
    let target = Target::start(move |mut stream| {
        stream.read_exact(&mut [0; WORDS.len()])?;
        let _ = ends.send(None);
        let end = stream.read(&mut [0]);
        let _ = ends.send(Some(end.map_err(|error| error.kind())));
        Ok(())
    });
    let _proxy = listening(&sshd, &["-R", &format!("{port}:127.0.0.1:{}", target.port())]);
    for _ in 0..3 {
        let mut stream =
            wait::until_some("the server listens", || TcpStream::connect(at(port)).ok());
        stream.write_all(WORDS).expect("a connection");
        assert_eq!(ended.recv_timeout(LONG).expect("it arrives"), None);
        sshd.kill_children();
        let end = ended.recv_timeout(LONG).expect("an end");
        assert_eq!(end, Some(Err(io::ErrorKind::ConnectionReset)));
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_refusal_at_start_is_a_warning_or_ends_the_program() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    // sshd is satisfied with one of the two addresses, so both must be taken.
    let taken_too = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let forward = format!("{port}:127.0.0.1:{}", echo.port());

    let mut ending = forwarding(&sshd, &["-o", "ExitOnForwardFailure=yes", "-R", &forward]);
    assert_eq!(ending.wait().code(), Some(1), "{}", ending.log());
    let place = format!("cannot listen on port {port} of testhost");
    assert!(ending.log().contains(&place), "{}", ending.log());

    let waiting = forwarding(&sshd, &["-R", &forward]);
    waiting.wait_for_log(&place);
    drop((taken, taken_too));
    waiting.wait_for_log(&format!("listening on port {port} of testhost\n"));
    assert_eq!(echoed_over_tcp(at(port)), WORDS);

    let strict = Sshd::with(&["AllowTcpForwarding local"]);
    let refused = forwarding(&strict, &["-R", &forward]);
    refused.wait_for_log(&place);
    assert!(refused.log().contains("AllowTcpForwarding"), "{}", refused.log());
}

#[test]
#[ignore = "needs sshd"]
fn remote_forwards_of_the_configuration_work_too() {
    let (echo, sshd, port) = (Target::echo(), Sshd::start(), free_port());
    let line = format!("RemoteForward {port} 127.0.0.1:{}", echo.port());
    let config = sshd.login().ssh_config(sshd.port(), &[&line]);
    let proxy = Sockeye::start(&config);
    proxy.wait_for_log(&format!("listening on port {port} of testhost"));
    assert_eq!(echoed_over_tcp(at(port)), WORDS);
}

#[test]
#[ignore = "needs ssh"]
fn only_requested_channels_are_accepted_and_the_end_is_announced() {
    let echo = Target::echo();
    let server = Scripted::forwarding(Script::Close);
    let mut command = program();
    let forward = format!("gate.example:8080:127.0.0.1:{}", echo.port());
    command.arg("-F").arg(server.ssh_config()).args(["-R", &forward, HOST]);
    let mut proxy = Sockeye::spawn(command);
    wait::until("the server has tried", || {
        server.seen().accepted.len() + server.seen().refused.len() == 4
    });
    let seen = server.seen();
    assert_eq!(seen.listens, [("gate.example".to_owned(), 8080)]);
    assert_eq!(seen.accepted, [HERE]);
    assert_eq!(seen.refused, [NEXT_PORT, NO_PORT, "forwarded-streamlocal"]);
    proxy.terminate();
    assert!(proxy.wait().success());
    assert_eq!(server.seen().cancelled, [("gate.example".to_owned(), 8080)]);
}
