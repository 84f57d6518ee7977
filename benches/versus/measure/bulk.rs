//! Downloads and uploads: the bytes that arrive in a span of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Figures, Turn};
use crate::client::Road;
use crate::effort::Timing;
use crate::process::cpu_seconds;
use crate::target::{Role, drain, pour};

/// The direction of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Down,
    Up,
}

/// The speed in MB/s, and the peer's processor time per GB. Arrived bytes count: at the client for a
/// download, at the target for an upload.
pub(super) async fn figures(
    turn: &Turn<'_>,
    direction: Direction,
    connections: usize,
    timing: Timing,
) -> Result<Figures> {
    let instance = turn.instance()?;
    let target = turn.bed.target();
    let received = Arc::new(AtomicU64::new(0));
    let arrived = || match direction {
        Direction::Down => received.load(Ordering::Relaxed),
        Direction::Up => target.uploaded(),
    };
    let mut transfers = start(instance.road(), direction, connections, &received).await?;
    sleep(timing.warm_up).await;
    let (start, bytes, cpu) = (Instant::now(), arrived(), cpu_seconds(instance.id())?);
    sleep(timing.span).await;
    let seconds = start.elapsed().as_secs_f64();
    let (bytes, cpu) = (arrived() - bytes, cpu_seconds(instance.id())? - cpu);
    ensure!(bytes > 0, "nothing arrived");
    ensure!(transfers.try_join_next().is_none(), "a transfer ended early");
    let megabytes = bytes as f64 / 1e6;
    Ok(vec![megabytes / seconds, cpu / (megabytes / 1e3)].into())
}

/// Starts transfers that run until the set is dropped. One that ends by itself has failed.
pub(super) async fn start(
    road: Road,
    direction: Direction,
    connections: usize,
    received: &Arc<AtomicU64>,
) -> Result<JoinSet<()>> {
    let role = match direction {
        Direction::Down => Role::Download,
        Direction::Up => Role::Upload,
    };
    let mut opening: JoinSet<_> = (0..connections).map(|_| road.open(role)).collect();
    let mut transfers = JoinSet::new();
    while let Some(opened) = opening.join_next().await {
        let mut stream = opened?.context("open a transfer")?;
        let received = Arc::clone(received);
        transfers.spawn(async move {
            let _ = match direction {
                Direction::Down => drain(&mut stream, &received).await,
                Direction::Up => pour(&mut stream).await,
            };
        });
    }
    Ok(transfers)
}
