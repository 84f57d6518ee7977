//! Checks of the instruments themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::bed::{Bed, Profile, Way};
use crate::client::ping;
use crate::line::{Quality, Stalls};
use crate::link::Link;
use crate::queue::DropTail;
use crate::stats::{median, median_ratio, percentile_ms};
use crate::target::{Role, Target, drain};

/// The speed in MB/s of a link without delay. It must exceed that of every peer.
pub(crate) async fn link_speed(span: Duration) -> Result<f64> {
    let target = Target::start()?;
    let link = Link::start(target.address(), unlimited(Duration::ZERO), unlimited(Duration::ZERO))?;
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(&Role::Download.request()).await?;
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let reader = tokio::spawn(async move { drain(&mut stream, &counter).await });
    let start = Instant::now();
    sleep(span).await;
    reader.abort();
    Ok(received.load(Ordering::Relaxed) as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Checks that the link delays, that it passes bytes unchanged, and that the arithmetic is right.
pub(crate) async fn instruments() -> Result<()> {
    let target = Target::start()?;
    let half = unlimited(Duration::from_millis(20));
    let link = Link::start(target.address(), half, half)?;
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(&Role::Echo.request()).await?;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        fastest = fastest.min(ping(&mut stream).await?);
    }
    // In each direction the link aims one timer tick below the delay.
    ensure!(fastest >= Duration::from_millis(38), "the link took only {fastest:?} for 40 ms");
    rate().await?;
    queue()?;
    arithmetic()
}

/// Checks the round trip of each line of packets, by the TCP handshake.
pub(crate) async fn wires(bed: &Bed) -> Result<()> {
    for profile in Profile::ALL {
        let start = Instant::now();
        let connected = TcpStream::connect(bed.address(Way::Over(profile))).await;
        let name = profile.name();
        connected.with_context(|| format!("{name}: connect to the server"))?;
        let (took, expected) = (start.elapsed(), profile.round_trip());
        ensure!(took >= expected, "{name} took only {took:?} for {expected:?}");
    }
    Ok(())
}

/// Checks that a line keeps to its rate, and that two connections get about half of it each.
async fn rate() -> Result<()> {
    let target = Target::start()?;
    let quality = Quality { rate: 1 << 20, ..unlimited(Duration::from_millis(5)) };
    let link = Link::start(target.address(), quality, quality)?;
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let mut readers = JoinSet::new();
    for count in &counts {
        let mut stream = TcpStream::connect(link.address()).await?;
        stream.write_all(&Role::Download.request()).await?;
        let count = Arc::clone(count);
        readers.spawn(async move { drain(&mut stream, &count).await });
    }
    sleep(Duration::from_millis(300)).await;
    let read = || counts.each_ref().map(|count| count.load(Ordering::Relaxed) as f64);
    let (start, before) = (Instant::now(), read());
    sleep(Duration::from_millis(500)).await;
    let seconds = start.elapsed().as_secs_f64();
    for (before, after) in before.into_iter().zip(read()) {
        let part = (after - before) / seconds / f64::from(quality.rate);
        ensure!((0.35..0.65).contains(&part), "one of two connections had {part:.2} of the line");
    }
    Ok(())
}

/// Checks the queue of a line of packets: at 40 kB/s, 4000 bytes may wait.
fn queue() -> Result<()> {
    let start = Instant::now();
    let ms = Duration::from_millis;
    let quality = Quality { rate: 40_000, ..unlimited(ms(10)) };
    let mut queue = DropTail::new(quality, start);
    let mut arrival =
        |at: u64, bytes| queue.enter(start + ms(at), bytes).map(|due| due.duration_since(start));
    ensure!(arrival(0, 1000) == Some(ms(25 + 10)), "one packet: its time and the delay");
    ensure!(arrival(0, 1000) == Some(ms(50 + 10)), "one after another");
    ensure!(arrival(20, 2000) == Some(ms(100 + 10)), "one that fills the queue");
    ensure!(arrival(24, 1000).is_none(), "one for which there is no room");
    ensure!(arrival(25, 1000) == Some(ms(125 + 10)), "one when the first has left");
    ensure!(arrival(25, 1).is_none(), "a small one for which there is no room");
    ensure!(arrival(500, 4000) == Some(ms(600 + 10)), "one on a line that has become free");
    let mut endless = DropTail::new(unlimited(ms(10)), start);
    let all_at_once = (0..1000).all(|_| endless.enter(start, 1500) == Some(start + ms(10)));
    ensure!(all_at_once, "a line without a rate");
    Ok(())
}

fn unlimited(delay: Duration) -> Quality {
    Quality { delay, rate: 0, stalls: Stalls::Never }
}

fn arithmetic() -> Result<()> {
    let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
    ensure!(percentile_ms(&times, 0.5).to_bits() == 100f64.to_bits(), "the p50");
    ensure!(percentile_ms(&times, 0.99).to_bits() == 198f64.to_bits(), "the p99");
    ensure!(percentile_ms(&[], 0.5).is_infinite(), "the p50 of nothing");
    let mixed = [f64::INFINITY, 4.0, f64::NAN, 1.0];
    ensure!(median(&mixed).to_bits() == 4f64.to_bits(), "the median with a failure and a never");
    ensure!(median(&[4.0, 1.0]).to_bits() == 2.5f64.to_bits(), "the median of two");
    let ratio = median_ratio(&[2.0, 9.0, 8.0], &[1.0, 3.0, f64::INFINITY]);
    ensure!(ratio.to_bits() == 2.5f64.to_bits(), "the ratio by pairs");
    Ok(())
}
