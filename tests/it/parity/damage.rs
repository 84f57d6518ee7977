//! A link that corrupts its data.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use super::{Client, Running, at};
use crate::support::link::{Direction, Fault, Link};
use crate::support::login::HOST;
use crate::support::program::Sockeye;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, wait};

/// A cipher that does not encrypt the packet length.
const CIPHER: &str = "Ciphers aes128-gcm@openssh.com";
/// The message about it.
const DAMAGED: &str = "what came from the server is damaged";

/// Two impossible lengths, one that is too long by 4 KiB, and one by 16 bytes. Each ends the session, which
/// is reported; the next request gets another session. `ssh` too ends at an impossible length, and otherwise
/// waits for the rest of the packet.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_length_that_was_changed_ends_the_session() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    for (byte, impossible) in [(0, true), (1, true), (2, false), (3, false)] {
        let link = Link::to(sshd.port());
        let config = sshd.login().ssh_config(link.port(), &[CIPHER]);
        assert!((0..5).any(|_| session_ends(&config, &link, byte, echo.port())), "byte {byte}");
        if impossible {
            ssh_ends(&config, &link, byte, echo.port());
        }
    }
}

/// Returns false if the fault hit the handshake of a replacement session instead.
fn session_ends(config: &Path, link: &Link, byte: usize, target: u16) -> bool {
    let before = link.connections();
    let proxy = Sockeye::single(config);
    let mut held = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target);
    echoes(&mut held);
    link.plan(Direction::Down, byte, Fault::Flip);
    let mut next = Protocol::Socks5.open(proxy.address(), "127.0.0.1", target);
    echoes(&mut next);
    let sessions = || link.connections() - before;
    let is_told = || proxy.log().contains(DAMAGED);
    wait::until("it is logged", || is_told() || sessions() > 2);
    if sessions() == 2 {
        held.read_exact(&mut [0]).expect_err("it was cut");
    }
    is_told()
}

fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"x").expect("a connection");
    stream.read_exact(&mut [0]).expect("an echo");
}

fn ssh_ends(config: &Path, link: &Link, byte: usize, target: u16) {
    let port = free_port();
    let mut command = Client::Ssh.command(config);
    command.args(["-D", &port.to_string(), HOST]);
    let Running::Ssh(ref mut child) = Client::Ssh.start(command) else { unreachable!("it is ssh") };
    wait::until("it listens", || TcpStream::connect(at(port)).is_ok());
    link.plan(Direction::Down, byte, Fault::Flip);
    let _ = Protocol::Socks5.ask(at(port), "127.0.0.1", target);
    wait::until("ssh ends", || child.try_wait().expect("a child").is_some());
}
