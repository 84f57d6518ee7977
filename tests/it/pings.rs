//! The latency of small packets beside a large transfer, compared with `ssh -D` in the same run.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::load::{SetOnDrop, percentile};
use crate::support::openssh::OpenSsh;
use crate::support::program::Sockeye;
use crate::support::scaled;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::{Target, reset};

#[test]
#[ignore = "needs sshd, ssh"]
fn pings_beside_a_download_do_not_wait_for_it() {
    let (flood, echo, sshd) = (Target::flood(), Target::echo(), Sshd::start());
    let (ours, theirs) = (Sockeye::start(&sshd.ssh_config()), OpenSsh::start(&sshd.ssh_config()));
    let beside = |proxy| beside_a_download(proxy, flood.port(), echo.port());
    beside(ours.address());
    let rounds: Vec<_> =
        (0..scaled(3, 9)).map(|_| (beside(ours.address()), beside(theirs.address()))).collect();
    eprintln!("p99 of pings, ours and that of ssh -D: {rounds:.1?}");
    let (ours, theirs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    // Other tests share the processors, so this detects only gross errors: a ping that queues behind
    // the download. The real comparison is `cargo bench --bench versus`.
    let (ours, theirs) = (percentile(ours, 0.0), percentile(theirs, 0.5));
    let bound = (5 * theirs).max(Duration::from_millis(100));
    assert!(ours <= bound, "{ours:?} is more than {bound:?}, with {theirs:?} for ssh");
}

/// The p99 latency of 20 ping-pong connections.
fn beside_a_download(proxy: SocketAddr, flood: u16, echo: u16) -> Duration {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = SetOnDrop(&stop);
        let mut download = Protocol::Socks5.open(proxy, "127.0.0.1", flood);
        scope.spawn(|| {
            let mut buffer = vec![0; 256 * 1024];
            while !stop.load(Ordering::SeqCst) {
                download.read_exact(&mut buffer).expect("a stream without an end");
            }
            reset(download).expect("an option");
        });
        let pings: Vec<_> =
            (0..20).map(|_| scope.spawn(|| ping(proxy, echo, &stop).expect("an echo"))).collect();
        thread::sleep(MEASURED);
        drop(stopping);
        let times = pings.into_iter().flat_map(|ping| ping.join().expect("no panic")).collect();
        percentile(times, 0.99)
    })
}

fn ping(proxy: SocketAddr, port: u16, stop: &AtomicBool) -> io::Result<Vec<Duration>> {
    let mut stream = Protocol::Socks5.open(proxy, "127.0.0.1", port);
    let mut times = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        stream.write_all(&[1; 64])?;
        stream.read_exact(&mut [0; 64])?;
        times.push(begun.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    Ok(times)
}

const MEASURED: Duration = Duration::from_secs(1);
