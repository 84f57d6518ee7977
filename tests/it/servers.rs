//! Several servers, and configuration changes at run time, within this process.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use sockeye::app::{self, ListenerOptions, OnForwardFailure, Options, ServerOptions, Service};
use sockeye::openssh::{Prompter, SshOptions};
use sockeye::route::{Router, Select, Via};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::support::content::{Content, Sum};
use crate::support::login::HOST;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::wait::{self, LONG};
use crate::support::{free_port, scaled};

/// A running program, in a thread and a runtime of its own. Dropping it stops it.
struct Running {
    thread: Option<JoinHandle<Result<(), app::Error>>>,
    reloads: UnboundedSender<Options>,
    stop: CancellationToken,
}

impl Running {
    /// Starts the program, and waits until it is ready.
    fn start(options: Options) -> Self {
        let (reloads, mut next) = unbounded_channel();
        let (ready, is_ready) = mpsc::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let thread = thread::spawn(move || {
            let next = async |_| match next.recv().await {
                Some(options) => options,
                None => std::future::pending().await,
            };
            let ready = || ready.send(()).expect("the test waits for it");
            let run = app::run(options, Prompter::nobody(), ready, next, stopped);
            Runtime::new().expect("a runtime").block_on(Box::pin(run))
        });
        is_ready.recv_timeout(LONG).expect("it is ready");
        Self { thread: Some(thread), reloads, stop }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn server(runtime: &Runtime, name: &str, sshd: &Sshd) -> ServerOptions {
    let ssh = SshOptions { config_file: Some(sshd.ssh_config()), ..SshOptions::default() };
    let host = HOST.parse().expect("a name");
    let query = ServerOptions::query(name.into(), &host, &ssh, Some("1".parse().expect("a size")));
    runtime.block_on(query).expect("good options")
}

/// A forward to the target, with these servers in order.
fn forward(port: u16, target: &Target, servers: &[&str]) -> ListenerOptions {
    let servers = servers.iter().map(|&name| name.into()).collect();
    ListenerOptions {
        origin: sockeye::registry::Origin::CommandLine,
        address: format!("127.0.0.1:{port}").parse().expect("an address"),
        name: None,
        service: Service::Forward {
            to: format!("127.0.0.1:{}", target.port()).parse().expect("a target"),
            via: Some(Arc::new(Via { servers, select: Select::Order })),
        },
    }
}

fn options(servers: Vec<ServerOptions>, listeners: Vec<ListenerOptions>) -> Options {
    Options {
        listeners,
        on_forward_failure: OnForwardFailure::Exit,
        ..Options::new(servers, Router::via_one("first".into()))
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let stream = stream.expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket");
    stream
}

/// The place of the server that carries a connection to an echo through `port`; none where there is
/// no answer.
fn carrier(port: u16, servers: &[&Sshd]) -> Option<usize> {
    let asked: Vec<_> = servers.iter().map(|sshd| sshd.targets().len()).collect();
    let mut stream = connect(port);
    if stream.write_all(b"x").and_then(|()| stream.read_exact(&mut [0])).is_err() {
        return None;
    }
    let carrier = servers.iter().zip(asked).position(|(sshd, asked)| sshd.targets().len() > asked);
    stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(stream.read(&mut [0]).expect("a clean end"), 0);
    Some(carrier.expect("a server was asked"))
}

#[test]
#[ignore = "needs sshd"]
fn the_next_server_carries_what_the_first_cannot_until_it_is_back() {
    let (mut first, second, target) = (Sshd::talkative(), Sshd::talkative(), Target::echo());
    let runtime = Runtime::new().expect("a runtime");
    let servers = vec![server(&runtime, "first", &first), server(&runtime, "second", &second)];
    let port = free_port();
    let _running =
        Running::start(options(servers, vec![forward(port, &target, &["first", "second"])]));
    assert_eq!(carrier(port, &[&first, &second]), Some(0), "the first in order");
    first.stop();
    wait::until("the second carries it", || carrier(port, &[&first, &second]) == Some(1));
    first.start_again();
    wait::until("the first is taken again", || carrier(port, &[&first, &second]) == Some(0));
}

#[test]
#[ignore = "needs sshd"]
fn one_server_of_two_is_enough_to_begin_with() {
    let (mut first, second, target) = (Sshd::talkative(), Sshd::talkative(), Target::echo());
    first.stop();
    let runtime = Runtime::new().expect("a runtime");
    let servers = vec![server(&runtime, "first", &first), server(&runtime, "second", &second)];
    let port = free_port();
    let _running =
        Running::start(options(servers, vec![forward(port, &target, &["first", "second"])]));
    assert_eq!(carrier(port, &[&first, &second]), Some(1));
    first.start_again();
    wait::until("the first is there, too", || carrier(port, &[&first, &second]) == Some(0));
}

#[test]
#[ignore = "needs sshd"]
fn a_change_of_everything_else_leaves_a_download_alone() {
    let (first, second) = (Sshd::talkative(), Sshd::talkative());
    let (source, echo) = (Target::source(LENGTH), Target::echo());
    let runtime = Runtime::new().expect("a runtime");
    let (one, other) = (server(&runtime, "first", &first), server(&runtime, "second", &second));
    let (port, more) = (free_port(), free_port());
    let kept = forward(port, &source, &["first"]);
    let running = Running::start(options(vec![one.clone()], vec![kept.clone()]));
    let mut stream = connect(port);
    stream.write_all(b"x").expect("open");
    stream.read_exact(&mut [0; 1]).expect("it begins");
    for _ in 0..scaled(5, 50) {
        let added = forward(more, &echo, &["second"]);
        let both = options(vec![one.clone(), other.clone()], vec![kept.clone(), added]);
        running.reloads.send(both).expect("it runs");
        wait::until("the new one listens", || {
            TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, more))).is_ok()
        });
        assert_eq!(carrier(more, &[&second]), Some(0));
        let fewer = options(vec![one.clone()], vec![kept.clone()]);
        running.reloads.send(fewer).expect("it runs");
        wait::until("the new one is gone", || {
            TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, more))).is_err()
        });
        drop(connect(port));
    }
    // The removed server has no sessions any more.
    wait::until("its sessions are over", || second.children().is_empty());
    let rest = Sum::of(&stream).expect("a clean end");
    assert_eq!(rest.length, LENGTH - 1);
    let mut expected = Content::of(LENGTH);
    expected.read_exact(&mut [0; 1]).expect("long enough");
    assert_eq!(rest, Sum::of(expected).expect("in memory"));
}

/// The server of the download is the one that changes: its connections continue to their end.
#[test]
#[ignore = "needs sshd"]
fn a_server_that_is_removed_ends_with_what_it_carries() {
    let (first, second, source) = (Sshd::talkative(), Sshd::talkative(), Target::source(LENGTH));
    let runtime = Runtime::new().expect("a runtime");
    let (one, other) = (server(&runtime, "first", &first), server(&runtime, "second", &second));
    let port = free_port();
    let running = Running::start(options(vec![one], vec![forward(port, &source, &["first"])]));
    let mut stream = connect(port);
    stream.write_all(b"x").expect("open");
    stream.read_exact(&mut [0; 1]).expect("it begins");
    let changed = options(vec![other], vec![forward(port, &source, &["second"])]);
    running.reloads.send(changed).expect("it runs");
    wait::until("the second carries new connections", || {
        let mut stream = connect(port);
        stream.write_all(b"x").and_then(|()| stream.read_exact(&mut [0])).is_ok()
            && !second.targets().is_empty()
    });
    assert!(!first.children().is_empty(), "it still carries the download");
    let rest = Sum::of(&stream).expect("a clean end");
    assert_eq!(rest.length, LENGTH - 1);
    stream.shutdown(Shutdown::Write).expect("open");
    wait::until("its sessions are over", || first.children().is_empty());
}

/// More than the buffers along the path hold.
const LENGTH: u64 = 64 << 20;
