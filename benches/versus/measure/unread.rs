//! The effect of an unread download on other connections.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::short::Load;
use super::{Figures, Turn};
use crate::bed::Way;
use crate::client::ClosesFirst;
use crate::instance::Instance;
use crate::stats::percentile_ms;
use crate::target::Role;

/// The p99 of 16 concurrent short connections before and beside the download, and the number of
/// failures. It has an instance of its own, which may be damaged.
pub(super) async fn figures(turn: &Turn<'_>) -> Result<Figures> {
    let instance = Instance::start(turn.peer, turn.bed, Way::Near).await?;
    let road = instance.road();
    let timing = turn.effort.timing(Way::Near);
    let others = Load { road, at_once: AT_ONCE, first: ClosesFirst::Target, limit: LIMIT };
    others.run(timing.warm_up).await;
    let before = others.run(timing.span).await;
    let _unread = road.open(Role::Download).await.context("open the download")?;
    // The time for all buffers on the path to fill.
    sleep(timing.warm_up).await;
    let beside = others.run(timing.span).await;
    let p99 = |times: &[Duration]| percentile_ms(times, 0.99);
    Ok(vec![p99(&before.times), p99(&beside.times), beside.failed as f64].into())
}

const AT_ONCE: usize = 16;
/// The time after which another connection counts as failed.
const LIMIT: Duration = Duration::from_secs(5);
