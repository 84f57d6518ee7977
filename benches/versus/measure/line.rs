//! A page and pings over a line, alone and beside a load that saturates it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Figures;
use super::bulk::{self, Direction};
use crate::client::{Road, ping};
use crate::effort::Timing;
use crate::stats::percentile_ms;
use crate::target::{FILE, Role};

/// The other load on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    Download,
    Upload,
    Both,
    /// Nothing, since a moment ago, when the client of a download closed it.
    Aborted,
}

impl Beside {
    pub(super) const ALL: [Self; 5] =
        [Self::Nothing, Self::Download, Self::Upload, Self::Both, Self::Aborted];

    /// The text that follows the line's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Download => "beside a download",
            Self::Upload => "beside an upload",
            Self::Both => "beside both",
            Self::Aborted => "after an aborted download",
        }
    }

    fn directions(self) -> &'static [Direction] {
        match self {
            Self::Nothing => &[],
            Self::Download | Self::Aborted => &[Direction::Down],
            Self::Upload => &[Direction::Up],
            Self::Both => &[Direction::Down, Direction::Up],
        }
    }
}

/// The load time of a page, and the p99 of pings on a connection that was opened before the load. A
/// page that fails takes for ever.
pub(super) async fn figures(road: Road, beside: Beside, timing: Timing) -> Result<Figures> {
    let mut stream = road.open(Role::Echo).await.context("open the connection for pings")?;
    timeout(LIMIT, ping(&mut stream)).await.context("no answer to the first ping")??;
    let mut transfers = Vec::new();
    for &direction in beside.directions() {
        transfers.push(bulk::start(road, direction, 1, &Arc::default()).await?);
        sleep(timing.warm_up).await;
    }
    let pings = if beside == Beside::Aborted {
        drop(transfers.drain(..));
        Vec::new()
    } else {
        pings(&mut stream, timing.span).await?
    };
    let start = Instant::now();
    let (time, note) = match timeout(LIMIT, page(road)).await {
        Ok(Ok(())) => (start.elapsed().as_secs_f64() * 1000.0, None),
        Ok(Err(error)) => (f64::INFINITY, Some(format!("a page failed: {error}"))),
        Err(_) => (f64::INFINITY, Some(format!("a page took more than {LIMIT:?}"))),
    };
    Ok(Figures { values: vec![time, percentile_ms(&pings, 0.99)], note })
}

/// Downloads for a while.
pub(crate) async fn meet(road: Road, timing: Timing) -> Result<()> {
    let transfer = bulk::start(road, Direction::Down, 1, &Arc::default()).await?;
    sleep(timing.warm_up + timing.span).await;
    drop(transfer);
    Ok(())
}

async fn pings(stream: &mut TcpStream, span: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + span;
    let mut times = Vec::new();
    while Instant::now() < end {
        times.push(timeout(LIMIT, ping(stream)).await.context("no answer to a ping")??);
        sleep(BETWEEN_PINGS).await;
    }
    times.sort_unstable();
    Ok(times)
}

/// Fetches some files, a few at a time, as a browser does.
async fn page(road: Road) -> io::Result<()> {
    let mut fetching: JoinSet<io::Result<()>> = JoinSet::new();
    for _ in 0..FILES {
        if fetching.len() == AT_ONCE
            && let Some(fetched) = fetching.join_next().await
        {
            fetched??;
        }
        fetching.spawn(file(road));
    }
    while let Some(fetched) = fetching.join_next().await {
        fetched??;
    }
    Ok(())
}

async fn file(road: Road) -> io::Result<()> {
    let mut stream = road.open(Role::File).await?;
    let mut file = Vec::with_capacity(FILE);
    match stream.read_to_end(&mut file).await? {
        FILE => Ok(()),
        other => Err(io::Error::other(format!("{other} bytes of {FILE}"))),
    }
}

const FILES: usize = 10;
const AT_ONCE: usize = 6;
/// The time limit of a page and of a ping.
const LIMIT: Duration = Duration::from_secs(45);
const BETWEEN_PINGS: Duration = Duration::from_millis(20);
