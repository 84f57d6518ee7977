//! A name server of the test's own, and the files that make a program use only that.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{command, skip};

/// A name server on a loopback address. It knows [`SLOW`] and fails for [`BROKEN`]; no other name
/// exists.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// `resolv.conf` and `nsswitch.conf`.
    directory: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

/// A name of 127.0.0.1 that takes [`SLOWNESS`] to resolve.
pub(crate) const SLOW: &str = "slow.test";
/// A name whose look-up fails.
pub(crate) const BROKEN: &str = "broken.test";
/// The time that the slow look-up takes.
pub(crate) const SLOWNESS: Duration = Duration::from_secs(5);

impl Resolver {
    /// Starts it. Returns `None`, with a notice, if that is impossible: only root may use a port
    /// below 1024 and create a mount namespace.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        if !skip::unless_root("a name server of the test's own takes root") {
            return None;
        }
        let socket = socket();
        let directory = TempDir::with_prefix("sockeye-names-").expect("a temporary directory");
        // glibc always uses port 53, hence a separate address.
        let address = socket.local_addr().expect("an address").ip();
        let resolv = format!("nameserver {address}\noptions timeout:20 attempts:1\n");
        fs::write(directory.path().join(RESOLV), resolv).expect("resolv.conf");
        fs::write(directory.path().join(NSSWITCH), "hosts: dns\n").expect("nsswitch.conf");
        let (asked, stopping) = (Arc::default(), Arc::default());
        let resolver = Self { directory, asked, stopping };
        let (asked, stopping) = (Arc::clone(&resolver.asked), Arc::clone(&resolver.stopping));
        thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                serve(&socket, &asked);
            }
        });
        Some(resolver)
    }

    /// A command that runs `program` with this name server, in a mount namespace of its own. The
    /// process is that of the program.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", IN_NAMESPACE, "sh"]);
        command.args([RESOLV, NSSWITCH].map(|file| self.directory.path().join(file)));
        command.arg(program);
        command
    }

    /// The names that were looked up.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}

/// Binds port 53 on an unused address.
fn socket() -> UdpSocket {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(101);
    let socket = (0..1000)
        .find_map(|_| {
            let [_, _, c, d] =
                start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
            UdpSocket::bind((Ipv4Addr::new(127, 53, c, d), 53)).ok()
        })
        .expect("a loopback address without a name server");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    socket
}

/// Waits a moment for a query, and arranges its answer.
fn serve(socket: &UdpSocket, asked: &Mutex<Vec<String>>) {
    let mut packet = [0; 512];
    let Ok((count, from)) = socket.recv_from(&mut packet) else { return };
    let Some((name, kind, end)) = question(&packet[..count]) else { return };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    let answer = answer(&packet[..end], &name, kind);
    if name != SLOW {
        let _ = socket.send_to(&answer, from);
        return;
    }
    let socket = socket.try_clone().expect("a descriptor");
    thread::spawn(move || later(&socket, &answer, from));
}

fn later(socket: &UdpSocket, answer: &[u8], to: SocketAddr) -> io::Result<usize> {
    thread::sleep(SLOWNESS);
    socket.send_to(answer, to)
}

/// The name and the type in a query, and the end of its question section (RFC 1035 section 4.1).
fn question(packet: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*packet.get(at)?);
        let label = packet.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?);
    (packet.len() >= at + 4).then(|| (labels.join("."), kind, at + 4))
}

/// The answer to a query, given the packet up to the end of its question section.
fn answer(question: &[u8], name: &str, kind: u16) -> Vec<u8> {
    let known = name == SLOW;
    let addresses = u8::from(known && kind == TYPE_A);
    let mut answer = question.to_vec();
    let code = match name {
        SLOW => NO_ERROR,
        BROKEN => SERVER_FAILURE,
        _ => NO_SUCH_NAME,
    };
    // A response, recursion desired and available.
    answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    answer[4..HEADER].copy_from_slice(&[0, 1, 0, addresses, 0, 0, 0, 0]);
    if addresses > 0 {
        // A pointer to the name in the question, type A, class IN, TTL 60 seconds, four bytes of address.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
// Response codes (RFC 1035 section 4.1.1).
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const RESOLV: &str = "resolv.conf";
const NSSWITCH: &str = "nsswitch.conf";
/// A running name service cache knows nothing of the namespace, so its socket is hidden.
const IN_NAMESPACE: &str = r#"set -e
mount --bind "$1" /etc/resolv.conf
mount --bind "$2" /etc/nsswitch.conf
if [ -d /var/run/nscd ]; then mount -t tmpfs none /var/run/nscd; fi
shift 2
exec "$@""#;
