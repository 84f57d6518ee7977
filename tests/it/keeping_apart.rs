//! No connection holds up another: not a client that does not read, a target that does not answer
//! or does not read, or a slow name look-up.

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::content::{Content, Sum};
use crate::support::load::{Load, SetOnDrop, Tally};
use crate::support::program::Sockeye;
use crate::support::resolver::{Resolver, SLOW, SLOWNESS};
use crate::support::scripted::{ECHO, Script, Scripted};
use crate::support::socks::{Protocol, connect};
use crate::support::sshd::Sshd;
use crate::support::target::{Target, Unanswering, reset};
use crate::support::{process, scaled, wait};

/// Clients whose downloads they do not keep up with.
#[derive(Clone, Copy, Debug)]
struct Slow {
    clients: u64,
    /// The length of each download, in bytes.
    length: u64,
    /// The reading rate of each client, in bytes per second; 0 for none at all.
    rate: usize,
    /// The least amount in files before the other requests are measured, in KiB.
    spilled: u64,
}

#[test]
#[ignore = "needs sshd"]
fn others_do_not_suffer_from_a_download_that_nobody_reads() {
    // With sessions to spare, the download may get one of its own, and need not spill.
    for (sessions, spilled) in [("1", 1), ("1..8", 0)] {
        let length = scaled(128 << 20, 1_000_000_000);
        others_go_on(sessions, Slow { clients: 1, length, rate: 0, spilled });
    }
}

#[test]
#[ignore = "needs sshd"]
fn others_do_not_suffer_from_a_download_that_is_read_slowly() {
    let slow =
        Slow { clients: 1, length: scaled(64 << 20, 1_000_000_000), rate: 2_000_000, spilled: 0 };
    for sessions in ["1", "1..8"] {
        others_go_on(sessions, slow);
    }
}

#[test]
#[ignore = "needs sshd"]
fn others_do_not_suffer_from_twenty_downloads_that_nobody_reads() {
    // Together these exceed the limit for memory, but not for files.
    let slow = Slow { clients: 20, length: 24 << 20, rate: 0, spilled: 0 };
    for sessions in ["1", "1..8"] {
        others_go_on(sessions, slow);
    }
}

#[test]
#[ignore = "needs ssh"]
fn others_do_not_suffer_from_tiny_packets_that_nobody_reads() {
    // The per-packet overhead of small packets counts towards the limits too.
    let length = scaled(10_000_000, 100_000_000);
    let slow = Slow { clients: 1, length, rate: 0, spilled: 1 };
    let server = Scripted::start(Script::SendTiny(slow.length));
    let proxy = Sockeye::single(&server.ssh_config());
    let load = others(proxy.address(), "target.example", ECHO);
    slow.beside(&proxy, &load, || Protocol::Socks5.open(proxy.address(), "target.example", 80));
}

fn others_go_on(sessions: &str, slow: Slow) {
    let (source, echo, sshd) = (Target::source(slow.length), Target::echo(), Sshd::start());
    let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", sessions]);
    let load = others(proxy.address(), "127.0.0.1", echo.port());
    eprintln!("--sessions {sessions}:");
    slow.beside(&proxy, &load, || {
        Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port())
    });
}

impl Slow {
    /// Makes requests without and then with the downloads, compares the two, and checks that the
    /// downloads are complete and correct once they are read.
    fn beside(self, proxy: &Sockeye, load: &Load<'_>, open: impl Fn() -> TcpStream) {
        load.lasting(MEASURED / 2);
        let idle = process::rss_kib(proxy.pid());
        let before = load.lasting(MEASURED);
        let hurry = AtomicBool::new(false);
        thread::scope(|scope| {
            let hurrying = SetOnDrop(&hurry);
            let (downloads, filling) = load.during(|| {
                let download = |_| {
                    let mut client = open();
                    // A small buffer, so that the kernel does not absorb everything.
                    let few = SockRef::from(&client).set_recv_buffer_size(64 * 1024);
                    few.expect("an option");
                    client.write_all(b"!").expect("sent");
                    let hurry = &hurry;
                    scope.spawn(move || Sum::of(Paced { client, rate: self.rate, hurry }))
                };
                let downloads: Vec<_> = (0..self.clients).map(download).collect();
                wait_until_full(proxy.pid(), self.spilled);
                downloads
            });
            compare("while they are not read", &before, load);
            let spilled = process::nameless_bytes(proxy.pid()) >> 10;
            let peak = process::peak_kib(proxy.pid()).saturating_sub(idle);
            let held = || process::rss_kib(proxy.pid()).saturating_sub(idle);
            eprintln!("{self:?}: {spilled} KiB in files, {} KiB of memory, once {peak}", held());
            wait::until("memory is within its limit", || held() <= MEMORY / 2 * 3);
            drop(hurrying);
            let whole = Content::of(self.length).sum();
            for download in downloads {
                let sum = download.join().expect("no panic").expect("a clean end");
                assert_eq!(sum, whole);
            }
            // Data on its way to the files.
            let most = MEMORY / 4 * 5 + spilled;
            assert!(peak <= most, "{peak} KiB are more than {most}");
            filling.assert_all_served();
            eprintln!("p99 {:.1?} as the downloads begin", filling.percentile(0.99));
        });
    }
}

/// Reads at a limited pace, until told to hurry.
struct Paced<'a> {
    client: TcpStream,
    rate: usize,
    hurry: &'a AtomicBool,
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.hurry.load(Ordering::SeqCst) {
            thread::sleep(PACE);
            if self.rate > 0 {
                let some = self.rate / 20;
                return self.client.read(&mut buffer[..some]);
            }
        }
        self.client.read(buffer)
    }
}

#[test]
#[ignore = "needs sshd"]
fn others_go_on_while_a_target_does_not_answer() {
    let (silent, echo, sshd) = (Unanswering::start(), Target::echo(), Sshd::start());
    for sessions in ["1", "1..8"] {
        let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", sessions]);
        let load = others(proxy.address(), "127.0.0.1", echo.port());
        let before = load.lasting(MEASURED);
        let request = Protocol::Socks5.request("127.0.0.1", silent.port());
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let mut client = connect(proxy.address());
                client.write_all(&request).expect("sent");
                client.read_exact(&mut [0; 2]).expect("the method");
                client
            })
            .collect();
        compare(&format!("--sessions {sessions}, 10 connects"), &before, &load);
        for client in waiting {
            client.set_nonblocking(true).expect("an option");
            let read = (&client).read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(read, Err(io::ErrorKind::WouldBlock), "it was answered");
            reset(client).expect("an option");
        }
    }
}

/// `sshd` does nothing else on a session while it looks up a name.
#[test]
#[ignore = "needs sshd, unshare, root"]
fn others_go_on_while_a_name_is_looked_up() {
    let Some(resolver) = Resolver::start() else { return };
    let (echo, sshd) = (Target::echo(), Sshd::asking(resolver));
    thread::scope(|scope| {
        for (sessions, least) in [("1", 0), ("1..8", 10), ("2..8", 10)] {
            let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", sessions]);
            let port = echo.port();
            scope.spawn(move || beside_a_look_up(sessions, &proxy, port, least));
        }
    });
    assert!(sshd.looked_up().iter().any(|name| name == SLOW), "it used another resolver");
}

/// Makes requests during a name look-up: none may fail, and the second half of that time must serve
/// at least `least`; the best of several rounds counts.
fn beside_a_look_up(sessions: &str, proxy: &Sockeye, port: u16, least: usize) {
    // Many clients, so that some are always free to send a request.
    let (clients, rate) = (250, 40);
    let load = Load { clients, rate, ..others(proxy.address(), "127.0.0.1", port) };
    load.lasting(MEASURED).assert_all_served();
    let mut late = (0..5).map(|_| served_beside_a_look_up(sessions, proxy, &load));
    assert!(late.any(|late| late >= least), "others wait for the name");
    assert!(!proxy.log().contains("lost a session"), "a busy server is not dead");
}

/// The number of requests that were made and served in the second half of a look-up.
fn served_beside_a_look_up(sessions: &str, proxy: &Sockeye, load: &Load<'_>) -> usize {
    let ((begun, ended), during) = load.during(|| {
        let begun = Instant::now();
        drop(Protocol::Socks5.open(proxy.address(), SLOW, load.port));
        (begun, Instant::now())
    });
    assert!(ended - begun >= SLOWNESS, "the server had the name at hand");
    during.assert_all_served();
    let (half, made) = (begun + SLOWNESS / 2, during.made());
    let held = made.iter().filter(|made| made.ended - made.begun > SLOWNESS / 3).count();
    let late = made.iter().filter(|made| made.begun > half && made.ended < ended).count();
    eprintln!(
        "--sessions {sessions}: of {} requests beside the look-up {held} waited for long; {late} \
         were made and served in its second half",
        made.len(),
    );
    late
}

#[test]
#[ignore = "needs sshd"]
fn others_go_on_while_a_target_does_not_read() {
    const LENGTH: u64 = 64 << 20;
    let ((reluctant, word, read), (sums, received)) = (Target::reluctant(), Target::sums());
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let proxy = Sockeye::single(&sshd.ssh_config());
    let load = others(proxy.address(), "127.0.0.1", echo.port());
    let before = load.lasting(MEASURED);
    let idle = process::rss_kib(proxy.pid());
    let upload = Upload { client: open(&proxy, &reluctant), sent: AtomicU64::new(0) };
    upload.client.set_write_timeout(Some(wait::LONG)).expect("a timeout");
    thread::scope(|scope| {
        let held = scope.spawn(|| upload.run(LENGTH));
        let ((), beside) = load.during(|| {
            let free = Upload { client: open(&proxy, &sums), sent: AtomicU64::new(0) };
            free.run(LENGTH / 4).expect("this one is read");
            let sum = received.recv_timeout(wait::LONG).expect("the target's sum");
            assert_eq!(sum, Content::of(LENGTH / 4).sum());
            let mut last = 0;
            wait::until("the client of the target that does not read is held", || {
                thread::sleep(MEASURED / 3);
                let now = upload.sent.load(Ordering::SeqCst);
                now > 0 && std::mem::replace(&mut last, now) == now
            });
        });
        beside.assert_all_served();
        compare("an upload that is not read", &before, &load);
        let sent = upload.sent.load(Ordering::SeqCst);
        let memory = process::rss_kib(proxy.pid()).saturating_sub(idle);
        eprintln!("the client was held after {sent} bytes; they took {memory} KiB of memory");
        assert!(sent < LENGTH, "the upload was not held back");
        assert!(memory < 32 << 10, "the program keeps what the target does not read");
        word.send(()).expect("the target waits");
        held.join().expect("no panic").expect("sent");
        let sum = read.recv_timeout(wait::LONG).expect("the target's sum");
        assert_eq!(sum, Content::of(LENGTH).sum());
    });
}

/// Waits until the buffered amount stops growing, however long that takes.
fn wait_until_full(pid: u32, spilled: u64) {
    let (mut last, mut most) = ((0, 0), 0);
    let mut grows = || {
        wait::until_some("the program takes in no more", || {
            thread::sleep(MEASURED / 2);
            let now = (process::nameless_bytes(pid) >> 10, process::rss_kib(pid) >> 10);
            let is_same = std::mem::replace(&mut last, now) == now;
            let more = now.0 > most;
            most = most.max(now.0);
            // On a busy machine it may not have started to grow.
            (more || is_same && now.0 >= spilled).then_some(more)
        })
    };
    while grows() {}
}

struct Upload {
    client: TcpStream,
    sent: AtomicU64,
}

impl Upload {
    fn run(&self, length: u64) -> io::Result<()> {
        let mut content = Content::of(length);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let count = content.read(&mut chunk)?;
            if count == 0 {
                return self.client.shutdown(Shutdown::Write);
            }
            (&self.client).write_all(&chunk[..count])?;
            self.sent.fetch_add(count as u64, Ordering::SeqCst);
        }
    }
}

fn open(proxy: &Sockeye, target: &Target) -> TcpStream {
    Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port())
}

fn others(proxy: SocketAddr, host: &str, port: u16) -> Load<'_> {
    Load { proxy, host, port, clients: 50, rate: 300 }
}

/// Checks that all requests succeed, and that their latency remains in proportion to what it was. The
/// bound is wide and the best of many rounds counts, because other tests share the processors: a real
/// blockage shows in every round.
#[track_caller]
fn compare(what: &str, before: &Tally, load: &Load<'_>) {
    before.assert_all_served();
    let was = before.percentile(0.99);
    let bound = (5 * was).max(Duration::from_millis(250));
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let during = load.lasting(MEASURED);
        during.assert_all_served();
        best = best.min(during.percentile(0.99));
        if best <= bound {
            break;
        }
    }
    let ratio = best.as_secs_f64() / was.as_secs_f64();
    eprintln!("{what}: p99 {was:.1?} before, {best:.1?} then; ratio {ratio:.2}");
    assert!(best <= bound, "{what}: p99 {was:?} before, {best:?} then");
}

/// The duration of each measurement.
const MEASURED: Duration = Duration::from_secs(1);
/// The limit of buffered data in KiB (see `BacklogLimits`). Overhead, and what is not counted, come on top.
const MEMORY: u64 = 256 << 10;
/// The interval between the reads of a slow client.
const PACE: Duration = Duration::from_millis(50);
