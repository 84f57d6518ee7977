//! Sessions lost under load, links that fall silent, servers that go and return.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::content::Content;
use crate::support::link::Link;
use crate::support::load::{Load, Outcome, Tally, percentile};
use crate::support::program::Sockeye;
use crate::support::socks::{Protocol, read_to_any_end};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, process, scaled, wait};

/// The `sshd` processes to kill.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// The oldest one.
    One,
    /// All of them, including those whose handshake is not finished.
    All,
}

#[test]
#[ignore = "needs sshd"]
fn no_request_fails_where_one_session_of_several_is_killed() {
    under_fire("2..8", Kill::One, Duration::from_millis(500));
}

#[test]
#[ignore = "needs sshd"]
fn no_request_fails_where_every_session_is_killed() {
    under_fire("1..8", Kill::All, Duration::from_secs(1));
}

/// Makes 200 requests per second, and others that are refused, while sessions are killed.
fn under_fire(sessions: &str, kill: Kill, pause: Duration) {
    let (echo, sshd) = (Target::echo(), Sshd::with(&["LogLevel DEBUG1"]));
    let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", sessions]);
    let (host, port) = ("127.0.0.1", echo.port());
    let load = Load { proxy: proxy.address(), host, port, clients: 40, rate: 200 };
    let kills = Kills::default();
    let ((times, refused), tally) = load.during(|| {
        thread::scope(|scope| {
            let killing = scope.spawn(|| {
                let end = Instant::now() + scaled(Duration::from_secs(5), Duration::from_secs(20));
                let mut times = Vec::new();
                while Instant::now() < end {
                    thread::sleep(pause);
                    kills.begun.fetch_add(1, Ordering::SeqCst);
                    times.push(Instant::now());
                    kill.strike(&sshd);
                    kills.over.fetch_add(1, Ordering::SeqCst);
                }
                times
            });
            let mut refused = Vec::new();
            while !killing.is_finished() {
                refused.push(Refused::ask(&proxy, &kills));
            }
            (killing.join().expect("no panic"), refused)
        })
    });
    let cut = tally.made().iter().filter(|made| made.outcome == Outcome::Cut).count();
    let recovery: Vec<_> = times.iter().filter_map(|time| recovery(&tally, *time)).collect();
    eprintln!(
        "--sessions {sessions}, killed {kill:?} {} times: {} requests, {cut} cut after they were \
         confirmed, {} refused as they should be; served again after {:.0?} (median), {:.0?} (worst)",
        times.len(),
        tally.made().len(),
        refused.len(),
        percentile(recovery.clone(), 0.5),
        percentile(recovery, 1.0),
    );
    tally.assert_none_failed();
    let log = sshd.log();
    for request in &refused {
        request.assert_dialled_once(&log);
    }
}

/// The number of kills: a request may be lost by one that began before the request and was still in progress.
#[derive(Debug, Default)]
struct Kills {
    begun: AtomicUsize,
    over: AtomicUsize,
}

impl Kill {
    fn strike(self, sshd: &Sshd) {
        match self {
            Self::One => {
                if let Some(first) = sshd.children().into_iter().min() {
                    process::signal(first, Signal::KILL);
                }
            }
            Self::All => sshd.kill_children(),
        }
    }
}

/// The time from `time` until the first confirmation of a request made since then.
fn recovery(tally: &Tally, time: Instant) -> Option<Duration> {
    let confirmed = tally
        .made()
        .iter()
        .filter(|made| made.begun >= time && !matches!(made.outcome, Outcome::Failed(_)));
    confirmed.map(|made| made.answered - time).min()
}

/// A request for a port on which nothing listens, and that no other request of this test uses.
struct Refused {
    port: u16,
    answer: Vec<u8>,
    /// The most kills that may have happened meanwhile.
    kills: usize,
}

impl Refused {
    fn ask(proxy: &Sockeye, kills: &Kills) -> Self {
        let (port, before) = (free_port(), kills.over.load(Ordering::SeqCst));
        let answer = Protocol::Socks5.refusal(proxy.address(), "127.0.0.1", port);
        let kills = kills.begun.load(Ordering::SeqCst) - before;
        // Paced to be ready for the next kill, without filling the log with requests.
        thread::sleep(Duration::from_millis(50));
        Self { port, answer, kills }
    }

    /// A request that was lost may have been sent again; one that was answered may not.
    #[track_caller]
    fn assert_dialled_once(&self, sshd_log: &str) {
        assert_eq!(self.answer[..2], [5, 5], "another fault than the target's was told");
        let asked = sshd_log.matches(&format!("target 127.0.0.1 port {}\r\n", self.port)).count()
            + sshd_log.matches(&format!("target 127.0.0.1 port {}\n", self.port)).count();
        assert!(asked >= 1, "the log of sshd has another form");
        assert!(asked <= 1 + self.kills, "dialled {asked} times, with {} kills", self.kills);
    }
}

/// The activity at the moment when the link turns into a black hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Writing,
    Rekeying,
}

#[test]
#[ignore = "needs sshd"]
fn a_black_hole_is_noticed_and_survived() {
    thread::scope(|scope| {
        for doing in [Doing::Nothing, Doing::Writing, Doing::Rekeying] {
            scope.spawn(move || doing.through_a_black_hole());
        }
    });
}

impl Doing {
    fn through_a_black_hole(self) {
        let (interval, held) = scaled((1, 6), (5, 60));
        let bound = Duration::from_secs(3 * interval);
        let (echo, flood, (sums, _)) = (Target::echo(), Target::flood(), Target::sums());
        let sshd = match self {
            Self::Nothing | Self::Writing => Sshd::start(),
            Self::Rekeying => Sshd::with(&["RekeyLimit 64K", "LogLevel DEBUG1"]),
        };
        let link = Link::to(sshd.port());
        let config = sshd.ssh_config_through(link.port());
        let alive = format!("ServerAliveInterval={interval}");
        let arguments = ["--sessions", "1", "-o", &alive, "-o", "ConnectTimeout=5"];
        let proxy = Sockeye::with(&config, &arguments);
        let open =
            |target: &Target| Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
        let mut idle = open(&echo);
        let busy: Vec<_> = match self {
            Self::Nothing => Vec::new(),
            // More than the windows admit, so that the session itself stalls.
            Self::Writing => (0..8).map(|_| write_for_ever(open(&sums))).collect(),
            Self::Rekeying => vec![read_for_ever(open(&flood))],
        };
        thread::sleep(Duration::from_millis(500));
        let begun = self.hold(&link, &sshd);
        wait::until("the session is given up", || proxy.log().contains("does not answer any more"));
        let noticed = begun.elapsed();
        let (_, ended) = read_to_any_end(&mut idle);
        assert!(ended.is_err(), "it ended as if the target had ended it");
        for client in busy {
            client.join().expect("no panic").expect_err("the session was given up");
        }
        thread::sleep((Duration::from_secs(held) / 2).saturating_sub(begun.elapsed()));
        let served = thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(open(&echo)));
            let rest = Duration::from_secs(held).saturating_sub(begun.elapsed());
            thread::sleep(rest.min(Duration::from_secs(12)));
            assert!(!waiting.is_finished(), "it was served through a black hole");
            link.release();
            let released = Instant::now();
            waiting.join().expect("served");
            released.elapsed()
        });
        eprintln!(
            "{self:?} when the link went silent: noticed after {noticed:.1?} (bound {bound:?}), a \
             waiting request served {served:.1?} after its return"
        );
        assert!(noticed <= 3 * bound, "noticed after {noticed:?}");
    }

    /// Turns the link into a black hole at the right moment.
    fn hold(self, link: &Link, sshd: &Sshd) -> Instant {
        wait::until_some("the moment is right", || {
            link.hold();
            let begun = Instant::now();
            // Time for the data in flight to arrive.
            thread::sleep(Duration::from_millis(200));
            let log = sshd.log();
            let in_midst = log.matches("SSH2_MSG_KEXINIT sent").count()
                > log.matches("SSH2_MSG_NEWKEYS received").count();
            if self != Self::Rekeying || in_midst {
                return Some(begun);
            }
            link.release();
            thread::sleep(Duration::from_millis(fastrand::u64(1..50)));
            None
        })
    }
}

fn write_for_ever(mut client: TcpStream) -> thread::JoinHandle<io::Result<u64>> {
    thread::spawn(move || io::copy(&mut Content::of(u64::MAX), &mut client))
}

fn read_for_ever(mut client: TcpStream) -> thread::JoinHandle<io::Result<u64>> {
    thread::spawn(move || {
        client.write_all(b"!")?;
        io::copy(&mut client, &mut io::sink())
    })
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_returns_is_found() {
    let (echo, mut sshd) = (Target::echo(), Sshd::start());
    // The waits between attempts are logged with -v only.
    let proxy = Sockeye::with(&sshd.ssh_config(), &["-v"]);
    let away = scaled(4, 30);
    sshd.stop();
    thread::sleep(Duration::from_secs(away - 3));
    thread::scope(|scope| {
        let ask = || drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
        let waiting = scope.spawn(ask);
        thread::sleep(Duration::from_secs(3));
        sshd.start_again();
        let returned = Instant::now();
        let new = scope.spawn(ask);
        waiting.join().expect("served");
        new.join().expect("served");
        let served = returned.elapsed();
        let waits = waits(&proxy.log());
        eprintln!("served {served:.1?} after sshd's return; waits between attempts: {waits:?}");
        // The pauses between attempts do not grow to this where somebody waits.
        assert!(served < Duration::from_secs(20), "first served after {served:?}");
        let told = proxy.log().matches("cannot connect to").count();
        assert_eq!(told, 1, "one warning for one reason");
        assert!(!waits.is_empty(), "the log does not tell of attempts");
        assert!(waits.len() as u64 <= 3 * away, "{} attempts in {away} s", waits.len());
    });
}

/// `sshd` has no room for another handshake, and says so.
#[test]
#[ignore = "needs sshd"]
fn a_server_that_refuses_is_asked_seldom() {
    let (echo, sshd) = (Target::echo(), few_startups());
    let link = Link::to(sshd.port());
    let proxy = Sockeye::single(&sshd.ssh_config_through(link.port()));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let mut other = TcpStream::connect(("127.0.0.1", sshd.port())).expect("sshd accepts");
            other.read_exact(&mut [0; 4]).expect("a version");
            other
        })
        .collect();
    let before = link.connections();
    link.cut();
    let refusing = scaled(4_u64, 10);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", echo.port()));
        });
        thread::sleep(Duration::from_secs(refusing));
        let asked = link.connections() - before;
        drop(others);
        let returned = Instant::now();
        waiting.join().expect("served");
        eprintln!("asked {asked} times in {refusing} s, served {:.1?} after", returned.elapsed());
        // The first attempt is immediate; after that they are at least a second apart.
        assert!((1..=refusing + 1).contains(&(asked as u64)), "asked {asked} times");
    });
}

/// The pool never makes more concurrent handshakes than the server allows.
#[test]
#[ignore = "needs sshd"]
fn a_growing_pool_is_never_refused() {
    let (echo, sshd) = (Target::echo(), few_startups());
    let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", "6..8"]);
    let (host, port) = ("127.0.0.1", echo.port());
    let load = Load { proxy: proxy.address(), host, port, clients: 40, rate: 200 };
    let ((), tally) = load.during(|| {
        for round in 1..=scaled(4, 20) {
            wait::until("the pool is full", || {
                sshd.log().matches("Accepted publickey").count() >= 6 * round
            });
            thread::sleep(Duration::from_millis(200));
            sshd.kill_children();
        }
    });
    tally.assert_none_failed();
    let log = sshd.log();
    for refusal in ["MaxStartups", "drop connection", "penalty"] {
        assert!(!log.contains(refusal), "the server was provoked:\n{log}");
    }
}

/// An `sshd` that has room for two handshakes, and penalizes excess ones if its version supports that.
fn few_startups() -> Sshd {
    let penalties = "PerSourcePenalties yes";
    let known = command("/usr/sbin/sshd").args(["-T", "-f", "/dev/null", "-o", penalties]).output();
    let known = known.is_ok_and(|told| {
        String::from_utf8_lossy(&told.stdout).to_ascii_lowercase().contains("persourcepenalties")
    });
    eprintln!("sshd knows of penalties: {known}");
    let lines = ["MaxStartups 2", penalties];
    Sshd::with(if known { &lines } else { &lines[..1] })
}

/// The waits between connection attempts, in seconds, from the log.
fn waits(log: &str) -> Vec<f32> {
    let after = |line: &str| line.split_once("next attempt in ")?.1.split(' ').next()?.parse().ok();
    log.lines().filter_map(after).collect()
}
