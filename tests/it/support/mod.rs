//! The tools of the end-to-end tests: SSH servers, targets, faults, clients, the program itself.
//!
//! Everything listens on loopback, uses a directory of its own, and ends when dropped. A blocked
//! read fails after [`wait::LONG`], so that a hang becomes a named failure.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::getuid;
use socket2::{Domain, Socket, Type};

pub(crate) mod accounts;
pub(crate) mod browser;
pub(crate) mod configured;
pub(crate) mod content;
pub(crate) mod curl;
pub(crate) mod echo;
pub(crate) mod foreign;
pub(crate) mod http;
pub(crate) mod link;
pub(crate) mod load;
mod log;
pub(crate) mod login;
pub(crate) mod openssh;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod questions;
pub(crate) mod resolver;
pub(crate) mod rude;
pub(crate) mod scripted;
pub(crate) mod security_key;
pub(crate) mod skip;
pub(crate) mod socks;
pub(crate) mod sshd;
pub(crate) mod target;
pub(crate) mod terminal;
pub(crate) mod verdict;
pub(crate) mod wait;
pub(crate) mod web;

/// `few` on an ordinary run, `all` if `SOCKEYE_FULL=1` asks for the full count.
pub(crate) fn scaled<T>(few: T, all: T) -> T {
    if std::env::var_os("SOCKEYE_FULL").is_some_and(|v| v == "1") { all } else { few }
}

/// A command that inherits nothing from the environment of the tests: no proxy variables, no agent,
/// no locale.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", SYSTEM_PATH).env("HOME", "/nonexistent");
    command
}

/// Writes a program that can be started at once. Another process writes the file: a child forked by a
/// concurrent test would inherit an open descriptor, and a file that is open for writing cannot be
/// executed (ETXTBSY).
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut install = command("install");
    install.args(["-m", "700", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().expect("install, of coreutils");
    let mut input = install.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("sent");
    drop(input);
    assert!(install.wait().expect("a child").success(), "{}", path.display());
}

/// A loopback port on which nothing listens. It is below the kernel's ephemeral range, and reserved
/// for this test until this process ends, even against tests in other processes.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let claims = std::env::temp_dir().join(format!("sockeye-ports-{}", getuid().as_raw()));
    fs::create_dir_all(&claims).expect("a directory");
    let start = std::process::id().wrapping_mul(97);
    let claim = |step: u32| {
        let step = start.wrapping_add(step) % PORTS;
        let port = FIRST_PORT + u16::try_from(step).expect("fewer than 65536 ports");
        // The lock is released when the process ends, in whatever way.
        let file = File::create(claims.join(port.to_string())).expect("a file");
        file.try_lock().ok()?;
        // A listener of our own would be inherited by a child that a test beside us forks at that moment.
        let answer = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())?;
        CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).push(file);
        Some(port)
    };
    (0..PORTS).find_map(|_| claim(NEXT.fetch_add(1, Ordering::Relaxed))).expect("a free port")
}

/// Releases a port that a test holds, and waits until nothing listens there: a child forked by a
/// concurrent test keeps the listener open until its exec.
pub(crate) fn give_up(held: TcpListener) {
    let at = held.local_addr().expect("an address");
    drop(held);
    wait::until("the port is given up", || TcpStream::connect(at).is_err());
}

/// A loopback port that refuses connections for as long as this process runs, because it is bound to a
/// socket that does not listen.
pub(crate) fn closed_port() -> u16 {
    static HELD: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("bound").as_socket().expect("of IPv4");
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    address.port()
}

/// What children hold that are forked meanwhile counts for nothing.
#[test]
fn a_free_port_is_free_at_once() {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stopping = load::SetOnDrop(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert!(command("true").status().expect("coreutils").success());
                }
            });
        }
        for _ in 0..300 {
            TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("it is free");
        }
    });
}

/// Where Debian keeps its tools, `sshd` among them.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// Linux assigns ephemeral ports from 32768 on (`ip_local_port_range`).
const FIRST_PORT: u16 = 20_000;
const PORTS: u32 = 12_000;
