//! Three servers on the way, and this program itself as the way.

use std::io;
use std::thread;

use super::{assert_download, config, logins, start_in_vain};
use crate::support::content::{Content, Sum};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{process, wait};

/// The server and three on the way to it, each of them a real one.
struct Chain {
    far: Sshd,
    hops: [Sshd; 3],
}

impl Chain {
    fn start() -> Self {
        Self { far: Sshd::start(), hops: [(); 3].map(|()| Sshd::start()) }
    }

    fn config(&self) -> std::path::PathBuf {
        let [first, second, third] = &self.hops;
        config(&[
            (HOST, &self.far, &[]),
            ("first", first, &[]),
            ("second", second, &[]),
            ("third", third, &[]),
        ])
    }
}

const JUMP: [&str; 4] = ["-J", "first,second,third", "--sessions", "1"];

#[test]
#[ignore = "needs sshd"]
fn over_three_hops() {
    let chain = Chain::start();
    let proxy = Sockeye::with(&chain.config(), &JUMP);
    assert_download(&proxy, 8 << 20);
    for sshd in chain.hops.iter().chain([&chain.far]) {
        assert_eq!(logins(sshd), 1, "{}", sshd.log());
    }
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
    assert_eq!(logins(&chain.hops[1]), 2, "the way goes over it again");
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

/// What carries a session is this program again, with its standard input and output.
#[test]
#[ignore = "needs sshd"]
fn through_this_program() {
    let (far, near) = (Sshd::start(), Sshd::start());
    let inner = config(&[("near", &near, &[])]);
    let ourselves = program();
    let ourselves = ourselves.get_program().display();
    let command = format!("ProxyCommand {ourselves} -q -F {} -W %h:%p near", inner.display());
    let mut proxy = Sockeye::single(&config(&[(HOST, &far, &[&command])]));
    let source = Target::source(8 << 20);
    let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
    io::Write::write_all(&mut client, b"!").expect("sent");
    assert_eq!(Sum::of(client).expect("a clean end"), Content::of(8 << 20).sum());
    assert_eq!((logins(&near), logins(&far)), (1, 1));
    let ours = process::descendants(proxy.pid());
    assert!(!ours.is_empty(), "the way is a program");
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    wait::until("it has ended with us", || ours.iter().all(|&pid| !process::is_running(pid)));
}
