//! Short connections: how many a second, and how long each takes.

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

/// What became of a load of short connections.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// How long each took, sorted.
    pub(crate) times: Vec<Duration>,
    /// How many a second. Each client counts from its start to the end of its last, so that a slow
    /// road does not lose the one that the end of the span falls into.
    pub(crate) rate: f64,
    pub(crate) failed: usize,
}

/// Rate, p50, p99, and the peer's processor time for each in microseconds.
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

/// Short connections one after the other, some at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) road: Road,
    pub(super) at_once: usize,
    pub(super) first: ClosesFirst,
    /// How long one may take before it counts as failed.
    pub(super) limit: Duration,
}

impl Load {
    /// Keeps it going for `span`, and waits for the last.
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
                // A proxy that is gone refuses at once; asking it in a tight loop tells nothing more.
                sleep(Duration::from_millis(5)).await;
            }
        }
        served.rate = served.times.len() as f64 / start.elapsed().as_secs_f64();
        served
    }
}

/// How long one may take before it counts as failed.
const LIMIT: Duration = Duration::from_secs(10);
