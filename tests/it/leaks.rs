//! Nothing is left behind, whichever side ends a connection, and at whatever moment.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::program::Sockeye;
use crate::support::scripted::{Script, Scripted};
use crate::support::socks::{Protocol, connect};
use crate::support::sshd::Sshd;
use crate::support::target::{Target, reset};
use crate::support::{process, scaled, wait};

#[test]
#[ignore = "needs sshd"]
fn short_connections_leave_the_memory_as_it_was() {
    let (target, sshd) = (Target::source(100), Sshd::start());
    let proxy = Sockeye::single(&sshd.ssh_config());
    let idle = Idle::now(&proxy, &sshd);
    short_connections(1000, proxy.address(), target.port());
    idle.wait(&proxy, &sshd);
    let before = process::rss_kib(proxy.pid());
    short_connections(scaled(30_000, 100_000), proxy.address(), target.port());
    idle.wait(&proxy, &sshd);
    let after = process::rss_kib(proxy.pid());
    assert!(after <= before + 5 * 1024, "from {before} to {after} KiB");
}

#[test]
#[ignore = "needs sshd"]
fn clients_that_reset_leave_nothing_behind() {
    let (target, sshd) = (Target::source(1_000_000), Sshd::start());
    let proxy = Sockeye::single(&sshd.ssh_config());
    let idle = Idle::now(&proxy, &sshd);
    let once = |round| leave_in_the_middle(round, proxy.address(), target.port());
    (0..200).for_each(once);
    idle.wait(&proxy, &sshd);
    let before = process::rss_kib(proxy.pid());
    (0..scaled(3000, 100_000)).for_each(once);
    idle.wait(&proxy, &sshd);
    let after = process::rss_kib(proxy.pid());
    // Each channel that is closed from here first costs a few kB in the SSH library until its session retires.
    assert!(after <= before + 5 * 1024, "from {before} to {after} KiB");
}

#[test]
#[ignore = "needs sshd"]
fn idle_connections_that_close_together_return_their_memory() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let proxy = Sockeye::single(&sshd.ssh_config());
    let (pid, address) = (proxy.pid(), proxy.address());
    let idle = Idle::now(&proxy, &sshd);
    let before = process::rss_kib(pid);
    let open = |_| {
        let mut client = Protocol::Socks5.open(address, "127.0.0.1", target.port());
        client.write_all(b"hello").expect("a stream");
        client.read_exact(&mut [0; 5]).expect("an echo");
        client
    };
    let clients: Vec<TcpStream> = (0..scaled(1500, 4000)).map(open).collect();
    let held = process::peak_kib(pid);
    drop(clients);
    idle.wait(&proxy, &sshd);
    let peak = process::peak_kib(pid);
    assert!(peak <= held + 8 * 1024, "closing took memory: from {held} to {peak} KiB");
    // At most a quarter may remain: free memory that shares a page with memory in use.
    let most = before + (peak - before) / 4;
    wait::until_some(&format!("of {peak} KiB all but {most} are given back"), || {
        (process::rss_kib(pid) <= most).then_some(())
    });
}

#[test]
#[ignore = "needs ssh"]
fn a_channel_that_opens_too_late_is_closed() {
    let server = Scripted::start(Script::EchoAfter(Duration::from_millis(500)));
    let proxy = Sockeye::single(&server.ssh_config());
    let count = 60;
    for round in 0..count {
        let mut client = connect(proxy.address());
        let protocol = Protocol::ALL[round % 3];
        client.write_all(&protocol.request("target.example", 80)).expect("sent");
        wait::until("the server is asked", || server.seen().asked.len() > round);
        reset(client).expect("an option");
    }
    wait::until("every channel is closed", || server.seen().ended == count);
}

/// The resources in use when idle.
struct Idle {
    files: Vec<String>,
    sockets: usize,
}

impl Idle {
    fn now(proxy: &Sockeye, sshd: &Sshd) -> Self {
        Self { files: process::open_files(proxy.pid()), sockets: sshd.sockets() }
    }

    /// Waits until the resources are back at this level, here and on the server.
    fn wait(&self, proxy: &Sockeye, sshd: &Sshd) {
        wait::until_ok("the program's descriptors are back", || {
            let files = process::open_files(proxy.pid());
            if files.len() <= self.files.len() {
                return Ok(());
            }
            Err(format!("open: {files:?}, at first: {:?}", self.files))
        });
        wait::until("no channel is left on the server", || sshd.sockets() <= self.sockets);
    }
}

/// Opens, reads and closes `count` connections, 16 at a time, in each protocol in turn.
fn short_connections(count: usize, proxy: SocketAddr, port: u16) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let mut client = Protocol::ALL[number % 3].open(proxy, "127.0.0.1", port);
                    client.write_all(b"!").expect("sent");
                    let received = client.read_to_end(&mut Vec::new()).expect("a clean end");
                    assert_eq!(received, 100, "connection {number}");
                }
            });
        }
    });
}

/// Connects, goes one step further each round, and resets the connection at that point.
fn leave_in_the_middle(round: usize, proxy: SocketAddr, port: u16) {
    let protocol = Protocol::ALL[round % 3];
    let request = protocol.request("127.0.0.1", port);
    let mut client = connect(proxy);
    match round / 3 % 5 {
        0 => {}
        1 => client.write_all(&request[..request.len() / 2]).expect("sent"),
        2 => client.write_all(&request).expect("sent"),
        3 => client = protocol.open(proxy, "127.0.0.1", port),
        _ => {
            client = protocol.open(proxy, "127.0.0.1", port);
            client.write_all(b"!").expect("sent");
            client.read_exact(&mut [0; 1000]).expect("the first bytes");
        }
    }
    reset(client).expect("an option");
}
