//! Measures that need a process of their own: memory, start-up, and recovery after a cut.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Figures, Turn};
use crate::bed::Way;
use crate::client::{ClosesFirst, Road, ping};
use crate::instance::Instance;
use crate::process::{kill, resident_kb, runs};
use crate::target::Role;

/// The memory of an idle connection: the growth of the process in kB.
pub(super) async fn memory_idle(turn: &Turn<'_>) -> Result<Figures> {
    let instance = Instance::start(turn.peer, turn.bed, Way::Near).await?;
    let count = turn.effort.idle_connections();
    sleep(SETTLE).await;
    let before = resident_kb(instance.id())?;
    let held = hold(instance.road(), count).await?;
    sleep(SETTLE).await;
    let after = resident_kb(instance.id())?;
    drop(held);
    Ok(vec![(after - before) / count as f64].into())
}

/// Opens connections, a few at a time, each used once and then idle.
async fn hold(road: Road, count: usize) -> Result<Vec<TcpStream>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        openers.spawn(async move {
            let mut held = Vec::new();
            for _ in (opener..count).step_by(OPENERS) {
                let mut stream = road.open(Role::Echo).await?;
                ping(&mut stream).await?;
                held.push(stream);
            }
            anyhow::Ok(held)
        });
    }
    let mut held = Vec::with_capacity(count);
    while let Some(opened) = openers.join_next().await {
        held.extend(opened?.context("open idle connections")?);
    }
    Ok(held)
}

/// The time from the start of the process to the first byte through it, in milliseconds.
pub(super) async fn first_byte(turn: &Turn<'_>) -> Result<Figures> {
    let start = Instant::now();
    let mut instance = Instance::launch(turn.peer, turn.bed, Way::Near)?;
    instance.first_request().await?;
    Ok(vec![milliseconds(start)].into())
}

/// The time from the end of the server's process for this peer to the next served request, in
/// milliseconds. Infinite if the peer exits or exceeds the limit.
pub(super) async fn recovery(turn: &Turn<'_>) -> Result<Figures> {
    let others = turn.bed.sshd().children();
    let mut instance = Instance::start(turn.peer, turn.bed, Way::Near).await?;
    let mut its_own = turn.bed.sshd().children();
    its_own.retain(|child| !others.contains(child));
    ensure!(!its_own.is_empty(), "found no process of sshd for this peer");
    let start = Instant::now();
    its_own.iter().copied().for_each(kill);
    while its_own.iter().copied().any(runs) {
        sleep(Duration::from_millis(1)).await;
    }
    let limit = turn.effort.recovery_limit();
    while start.elapsed() < limit && !instance.has_ended() {
        let attempt = instance.road().short_within(ATTEMPT_LIMIT, ClosesFirst::Client);
        if attempt.await.is_ok() {
            return Ok(vec![milliseconds(start)].into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(vec![f64::INFINITY].into())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The number of connections that are opened concurrently.
const OPENERS: usize = 32;
/// The time for memory to become steady.
const SETTLE: Duration = Duration::from_millis(400);
/// The time limit for a request after a cut before the next attempt.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);
