//! Short connections: their rate and their duration.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Figures;
use crate::client::{ClosesFirst, Road};
use crate::effort::Timing;
use crate::instance::Instance;
use crate::process::cpu_seconds;
use crate::stats::percentile_ms;

/// The outcome of a load of short connections.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// The durations, sorted.
    pub(crate) times: Vec<Duration>,
    /// The rate per second. Each client counts from its start to the end of its last connection, so
    /// that on a slow path the one in progress at the end of the span is not lost.
    pub(crate) rate: f64,
    pub(crate) failed: usize,
}

/// The rate, p50 and p99, and the peer's processor time per connection in microseconds.
pub(super) async fn figures(
    instance: &Instance,
    at_once: usize,
    first: ClosesFirst,
    timing: Timing,
) -> Result<Figures> {
    let load = Load { road: instance.road(), at_once, first, limit: LIMIT };
    load.run(timing.warm_up).await;
    let cpu = cpu_seconds(instance.id())?;
    let served = load.run(timing.span).await;
    let cpu = (cpu_seconds(instance.id())? - cpu) / served.times.len() as f64;
    let percentile = |part| percentile_ms(&served.times, part);
    let values = vec![served.rate, percentile(0.5), percentile(0.99), cpu * 1e6];
    let note = (served.failed > 0).then(|| format!("{} short connections failed", served.failed));
    Ok(Figures { values, note })
}

/// Short connections one after another, on several clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) road: Road,
    pub(super) at_once: usize,
    pub(super) first: ClosesFirst,
    /// The time after which a connection counts as failed.
    pub(super) limit: Duration,
}

impl Load {
    /// Applies the load for `span`, and waits for the last connections.
    pub(super) async fn run(self, span: Duration) -> Served {
        let end = Instant::now() + span;
        let workers: JoinSet<Served> = (0..self.at_once).map(|_| self.work(end)).collect();
        let mut all = Served::default();
        for served in workers.join_all().await {
            all.times.extend(served.times);
            all.rate += served.rate;
            all.failed += served.failed;
        }
        all.times.sort_unstable();
        all
    }

    async fn work(self, end: Instant) -> Served {
        let start = Instant::now();
        let mut served = Served::default();
        while Instant::now() < end {
            if let Ok(time) = self.road.short_within(self.limit, self.first).await {
                served.times.push(time);
            } else {
                served.failed += 1;
                // A proxy that has exited refuses at once; a tight loop of attempts would tell nothing more.
                sleep(Duration::from_millis(5)).await;
            }
        }
        served.rate = served.times.len() as f64 / start.elapsed().as_secs_f64();
        served
    }
}

/// The time after which a connection counts as failed.
const LIMIT: Duration = Duration::from_secs(10);
