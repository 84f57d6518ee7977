//! Everything at once, for long: many requests, sessions killed at random, clients that reset at every
//! phase, slow readers, reloads. Only requests with a confirmed channel may be cut, and nothing may
//! grow. `SOCKEYE_SOAK=3600` runs it for an hour, at 500 requests per second.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::configured::{Configuration, server};
use crate::support::load::{Load, Outcome, SetOnDrop};
use crate::support::program::Sockeye;
use crate::support::socks::{Answer, Protocol, connect};
use crate::support::sshd::Sshd;
use crate::support::target::{Target, reset};
use crate::support::{free_port, process, wait};

#[test]
#[ignore = "needs sshd; takes half a minute, or as long as SOCKEYE_SOAK says"]
fn no_request_fails_and_nothing_grows() {
    let (time, rate) = extent();
    let sshd = Sshd::with(&["MaxStartups 200", "MaxSessions 1000"]);
    let (echo, flood) = (Target::echo(), Target::flood());
    let changes = Changes::new(&sshd);
    let proxy = changes.start();
    proxy.wait_for_log("connected to ");
    let (address, port) = (proxy.address(), echo.port());
    let idle = Sample::of(&proxy, &changes, &sshd);
    let load = Load { proxy: address, host: "127.0.0.1", port, clients: 64, rate };
    let (stop, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ((samples, resets, reloads), tally) = load.during(|| {
        thread::scope(|scope| {
            let stopping = SetOnDrop(&stop);
            scope.spawn(|| until_stopped(&stop, || kill_one(&sshd, &kills)));
            let resets = scope.spawn(|| leave_at_every_phase(&stop, address, flood.port()));
            for _ in 0..4 {
                scope.spawn(|| until_stopped(&stop, || read_slowly(&stop, address, flood.port())));
            }
            let reloads = scope.spawn(|| changes.come(&stop, &proxy));
            let samples = sample(time, || Sample::of(&proxy, &changes, &sshd));
            drop(stopping);
            (samples, resets.join().expect("no panic"), reloads.join().expect("no panic"))
        })
    });
    let cut = tally.made().iter().filter(|made| made.outcome == Outcome::Cut).count();
    eprintln!(
        "{time:?}: {} requests, {cut} cut after they were confirmed; {} sessions killed, {resets} \
         clients reset, {reloads} reloads; median {:.1?}, 99 % within {:.1?}",
        tally.made().len(),
        kills.load(SeqCst),
        tally.percentile(0.5),
        tally.percentile(0.99),
    );
    tally.assert_none_failed();
    assert_flat(&samples);
    // What waits for slow clients while a machine or its disk is busy goes with them; what leaks stays.
    let early = median(early(&samples), |sample| sample.rss_kib);
    wait::until_ok("the memory is as at the beginning", || {
        let now = process::rss_kib(proxy.pid());
        if now <= early + early / 2 + 32 * 1024 {
            return Ok(());
        }
        Err(format!("from {early} to {now} KiB"))
    });
    wait::until("the descriptors are as at the beginning", || {
        Sample::of(&proxy, &changes, &sshd).descriptors <= idle.descriptors + SESSIONS
    });
    wait::until("the tasks are as at the beginning", || {
        Sample::of(&proxy, &changes, &sshd).tasks <= idle.tasks + 16
    });
    wait::until("no channel is left on the server", || sshd.sockets() <= idle.sockets + SESSIONS);
}

/// The duration, and the requests per second.
fn extent() -> (Duration, u32) {
    let wanted = std::env::var("SOCKEYE_SOAK").ok().and_then(|seconds| seconds.parse().ok());
    wanted.map_or((Duration::from_secs(30), 150), |seconds| (Duration::from_secs(seconds), 500))
}

/// The resources that the program uses at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rss_kib: u64,
    descriptors: usize,
    threads: usize,
    /// The tasks of its runtime.
    tasks: usize,
    /// The sockets of the server.
    sockets: usize,
}

impl Sample {
    fn of(proxy: &Sockeye, changes: &Changes, sshd: &Sshd) -> Self {
        let pid = proxy.pid();
        Self {
            tasks: changes.tasks(),
            rss_kib: process::rss_kib(pid),
            descriptors: process::descriptors(pid),
            threads: process::threads(pid),
            sockets: sshd.sockets(),
        }
    }
}

/// Takes sixty samples.
fn sample(time: Duration, look_at: impl Fn() -> Sample) -> Vec<Sample> {
    let looks = (0..60).map(|look| {
        thread::sleep(time / 60);
        let sample = look_at();
        if look % 6 == 5 {
            eprintln!("{look}/60: {sample:?}");
        }
        sample
    });
    looks.collect()
}

/// Compares the second sixth with the last.
#[track_caller]
fn assert_flat(samples: &[Sample]) {
    let late = &samples[5 * samples.len() / 6..];
    let both = |of| (median(early(samples), of), median(late, of));
    let (before, after) = both(|sample| sample.descriptors as u64);
    assert!(after <= before + before / 2 + 64, "descriptors: from {before} to {after}");
    let (before, after) = both(|sample| sample.threads as u64);
    assert!(after <= before + 16, "threads: from {before} to {after}");
    let (before, after) = both(|sample| sample.tasks as u64);
    assert!(after <= before + before / 2 + 64, "tasks: from {before} to {after}");
}

/// The second sixth, when everything has been there once.
fn early(samples: &[Sample]) -> &[Sample] {
    &samples[samples.len() / 6..samples.len() / 3]
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<_> = samples.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn until_stopped(stop: &AtomicBool, mut work: impl FnMut()) {
    while !stop.load(SeqCst) {
        work();
    }
}

/// Kills one of the server's processes after a while.
fn kill_one(sshd: &Sshd, kills: &AtomicUsize) {
    thread::sleep(Duration::from_millis(fastrand::u64(300..2000)));
    if let Some(one) = fastrand::choice(sshd.children()) {
        process::signal(one, Signal::KILL);
        kills.fetch_add(1, SeqCst);
    }
}

/// Runs clients that go one step further each time, and reset the connection at that point.
fn leave_at_every_phase(stop: &AtomicBool, proxy: SocketAddr, port: u16) -> usize {
    let mut count = 0;
    until_stopped(stop, || {
        let protocol = Protocol::ALL[count % 3];
        let request = protocol.request("127.0.0.1", port);
        let mut client = connect(proxy);
        let phase = count / 3 % 5;
        count += 1;
        thread::sleep(Duration::from_millis(25));
        let sent = match phase {
            0 => &request[..0],
            1 => &request[..request.len() / 2],
            _ => &request[..],
        };
        if client.write_all(sent).is_err() {
            return;
        }
        if phase < 3 {
            reset(client).expect("an option");
        } else if let Ok(Answer::Open(mut client)) = protocol.read_answer(client) {
            if phase == 4 {
                // The session may just have been killed.
                let _ = client.read_exact(&mut vec![0; 100_000]);
            }
            reset(client).expect("an option");
        }
    });
    count
}

/// Runs clients that read a fast download slowly, and leave.
fn read_slowly(stop: &AtomicBool, proxy: SocketAddr, port: u16) {
    let Ok(Answer::Open(mut client)) = Protocol::Socks5.ask(proxy, "127.0.0.1", port) else {
        return;
    };
    let mut buffer = vec![0; 32 * 1024];
    let end = Instant::now() + Duration::from_secs(fastrand::u64(1..10));
    while Instant::now() < end && !stop.load(SeqCst) {
        if client.read(&mut buffer).unwrap_or(0) == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A configuration that keeps changing.
struct Changes {
    configuration: Configuration,
    server: String,
    port: u16,
}

impl Changes {
    fn new(sshd: &Sshd) -> Self {
        let this = Self {
            configuration: Configuration::with(""),
            server: server("a", sshd),
            port: free_port(),
        };
        this.write(0);
        this
    }

    /// Writes one of several variants: another rule, listener or pool size.
    fn write(&self, turn: u32) {
        let Self { configuration, server, port } = self;
        let size = if turn % 8 < 4 { SESSIONS } else { SESSIONS - 2 };
        let sessions = format!("sessions = {{ min = 2, max = {size} }}\n");
        let listener = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
        let other = format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\n");
        let rule = "[[rule]]\ndomain_suffix = \"ads.example\"\naction = \"reject\"\n";
        let backlog = "[backlog]\nconnection = \"1MiB\"\nmemory = \"16MiB\"\nfiles = \"64MiB\"\n";
        let mut text = format!("{listener}{server}{sessions}[default]\nvia = \"a\"\n{backlog}");
        if turn % 2 == 1 {
            text.push_str(rule);
        }
        if turn % 4 > 1 {
            text.push_str(&other);
        }
        configuration.write("config.toml", &text);
    }

    /// Without the debug log, which would grow to a gigabyte.
    fn start(&self) -> Sockeye {
        self.configuration.start_with(&[])
    }

    /// The number of tasks in the program.
    fn tasks(&self) -> usize {
        let figures = self.configuration.ask("/metrics");
        let tasks = figures.lines().find_map(|line| line.strip_prefix("sockeye_tasks "));
        // OpenMetrics writes gauges with a decimal point.
        tasks.expect("the figure").trim_end_matches(".0").parse().expect("a number")
    }

    fn come(&self, stop: &AtomicBool, proxy: &Sockeye) -> u32 {
        let mut turn = 0;
        until_stopped(stop, || {
            turn += 1;
            self.write(turn);
            process::signal(proxy.pid(), Signal::HUP);
            let next = Instant::now() + Duration::from_secs(fastrand::u64(2..8));
            while Instant::now() < next && !stop.load(SeqCst) {
                thread::sleep(Duration::from_millis(100));
            }
        });
        turn
    }
}

/// The most sessions in the pool.
const SESSIONS: usize = 8;
