//! Pings on an established connection, alone and beside downloads.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep, timeout};

use super::Figures;
use super::bulk::{self, Direction};
use crate::client::{Road, ping};
use crate::effort::Timing;
use crate::stats::percentile_ms;
use crate::target::Role;

/// The p50 and the p99.
pub(super) async fn figures(road: Road, downloads: usize, timing: Timing) -> Result<Figures> {
    let mut stream = road.open(Role::Echo).await.context("open the connection for pings")?;
    ping(&mut stream).await?;
    let _load = bulk::start(road, Direction::Down, downloads, &Arc::default()).await?;
    sleep(timing.warm_up).await;
    // Under load a ping can take tens of milliseconds, so a longer span is needed for a good p99.
    let span = if downloads == 0 { timing.span } else { timing.span * 2 };
    let end = Instant::now() + span;
    let mut times = Vec::new();
    while Instant::now() < end {
        times.push(timeout(LIMIT, ping(&mut stream)).await.context("no answer to a ping")??);
    }
    times.sort_unstable();
    Ok(vec![percentile_ms(&times, 0.5), percentile_ms(&times, 0.99)].into())
}

const LIMIT: Duration = Duration::from_secs(10);
