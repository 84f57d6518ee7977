//! Whether the instruments themselves are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::client::ping;
use crate::link::Link;
use crate::stats::{median, median_ratio, percentile_ms};
use crate::target::{Role, Target, drain};

/// How many MB/s the link lets through when it adds no delay. It must be more than any peer reaches.
pub(crate) async fn link_speed(span: Duration) -> Result<f64> {
    let target = Target::start().await?;
    let link = Link::start(target.address(), Duration::ZERO)?;
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

/// The link delays, bytes pass it unharmed, and the arithmetic is right.
pub(crate) async fn instruments() -> Result<()> {
    let target = Target::start().await?;
    let link = Link::start(target.address(), Duration::from_millis(20))?;
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.write_all(&Role::Echo.request()).await?;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        fastest = fastest.min(ping(&mut stream).await?);
    }
    // The link aims one tick of the timer below the delay, each way.
    ensure!(fastest >= Duration::from_millis(38), "the link took only {fastest:?} for 40 ms");
    arithmetic()
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
