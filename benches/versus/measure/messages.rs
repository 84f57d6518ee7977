//! Small messages on permanent connections, as with a database: a client sends some, and sends the
//! next ones when all are answered.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Figures;
use crate::effort::Timing;
use crate::instance::Instance;
use crate::process::cpu_seconds;
use crate::target::{PING, Role};

/// The answers per second, and the peer's processor time per answer in microseconds.
pub(super) async fn figures(
    instance: &Instance,
    at_once: usize,
    in_flight: usize,
    timing: Timing,
) -> Result<Figures> {
    let mut opening: JoinSet<_> = (0..at_once).map(|_| instance.road().open(Role::Echo)).collect();
    let mut streams = Vec::with_capacity(at_once);
    while let Some(opened) = opening.join_next().await {
        streams.push(opened?.context("open a connection for messages")?);
    }
    exchange(&mut streams, in_flight, Instant::now() + timing.warm_up).await?;
    let (start, cpu) = (Instant::now(), cpu_seconds(instance.id())?);
    let answered = exchange(&mut streams, in_flight, start + timing.span).await? as f64;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds(instance.id())? - cpu);
    Ok(vec![answered / seconds, cpu / answered * 1e6].into())
}

/// Sends on all connections until `end`, and waits for the last answers. Returns their number.
async fn exchange(streams: &mut Vec<TcpStream>, in_flight: usize, end: Instant) -> Result<usize> {
    let mut workers = JoinSet::new();
    for mut stream in streams.drain(..) {
        workers.spawn(async move {
            let mut messages = vec![b'm'; in_flight * PING];
            let mut answered = 0;
            while Instant::now() < end {
                stream.write_all(&messages).await?;
                stream.read_exact(&mut messages).await?;
                answered += in_flight;
            }
            anyhow::Ok((stream, answered))
        });
    }
    let mut sum = 0;
    while let Some(worker) = timeout(LIMIT, workers.join_next()).await.context("no answer")? {
        let (stream, answered) = worker??;
        streams.push(stream);
        sum += answered;
    }
    Ok(sum)
}

/// The time limit of an answer.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
