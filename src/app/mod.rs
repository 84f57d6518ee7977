//! Binds, connects, runs, reloads and drains; the only module that knows every stage.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::control::StopKind;
use crate::openssh::Prompter;
use crate::printable::counted;

mod dashboard;
mod error;
mod forwards;
mod listeners;
pub(crate) mod manager;
mod options;
mod orders;
mod probe;
mod remote;
mod remotes;
mod running;
mod servers;
mod stdio;
mod summary;

pub use error::Error;
pub use options::{
    ControlOptions, ForwardOptions, ListenerOptions, OnForwardFailure, Options, RemoteOptions,
    ServerOptions, Service,
};
pub use probe::{Findings, Forwarding, Names, Sessions, probe};
pub use running::Running;

use orders::Orders;

/// Serves until `shutdown` completes or the connection of `-W` ends, and then drains connections for up to
/// 10 s.
///
/// `ready` is called when every listener is bound, and each server has a session or its failure has been
/// logged. After that, each completion of `next` supplies the options of a reload; its argument is the
/// outcome of the previous reload.
///
/// # Errors
///
/// All errors occur before `ready` is called, except those of `-W`.
pub async fn run(
    options: Options,
    prompter: Prompter,
    ready: impl FnOnce(),
    mut next: impl AsyncFnMut(Result<(), Error>) -> Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::pin!(shutdown);
    let (mut running, mut orders) = Running::bind(&options, prompter).await?;
    let stdio = options.stdio.clone();
    // The result, if it is known before anything is served.
    let ended = tokio::select! {
        // Boxed because the state of a login is large and short-lived.
        started = Box::pin(running.start(options)) => started.err().map(Err),
        () = &mut shutdown => Some(Ok(())),
        _ = orders.stop() => Some(Ok(())),
    };
    if let Some(ended) = ended {
        running.abandon().await;
        return ended;
    }
    ready();
    manager::ready();
    let mut reports = running.reports();

    let piped = stdio::connect(stdio, running.connect());
    let over = async {
        tokio::select! {
            biased;
            () = shutdown => Ok(()),
            ended = piped => ended,
        }
    };
    let (kind, ended) = serve(&mut running, &mut orders, &mut next, pin!(over)).await;
    reports.stopping();
    let now = async {
        if kind == StopKind::Drain {
            orders.stop_now().await;
        }
    };
    running.stop(now).await;
    ended
}

/// Carries out orders, and reloads with each of the `next` options, until `over` completes or a stop is
/// ordered. Returns how to stop, and the result.
async fn serve(
    running: &mut Running,
    orders: &mut Orders,
    next: &mut impl AsyncFnMut(Result<(), Error>) -> Options,
    mut over: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> (StopKind, Result<(), Error>) {
    let mut last = Ok(());
    loop {
        let mut next = pin!(next(std::mem::replace(&mut last, Ok(()))));
        loop {
            tokio::select! {
                biased;
                ended = &mut over => return (StopKind::Drain, ended),
                Some(order) = orders.next() => {
                    let obeyed = tokio::select! {
                        biased;
                        stopped = stopped(orders, over.as_mut()) => return stopped,
                        obeyed = running.obey(order) => obeyed,
                    };
                    if let Some(kind) = obeyed {
                        return (kind, Ok(()));
                    }
                }
                // A reload that has begun is not cancelled by other orders.
                options = &mut next => {
                    last = tokio::select! {
                        biased;
                        stopped = stopped(orders, over.as_mut()) => return stopped,
                        reloaded = running.reload(options) => reloaded,
                    };
                    break;
                }
            }
        }
    }
}

/// Completes when `over` does or when a stop is ordered, without waiting for an unresponsive server.
async fn stopped(
    orders: &mut Orders,
    over: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> (StopKind, Result<(), Error>) {
    tokio::select! {
        biased;
        ended = over => (StopKind::Drain, ended),
        kind = orders.stop() => (kind, Ok(())),
    }
}

/// Waits for open connections. Those that remain after the grace period end with the runtime.
async fn drain(connections: &TaskTracker) {
    connections.close();
    let deadline = Instant::now() + DRAIN;
    // A drain that takes only a moment is not worth logging.
    if timeout(UNLOGGED, connections.wait()).await.is_ok() {
        return;
    }
    let seconds = DRAIN.as_secs();
    let open = counted(connections.len(), "connection");
    info!("waiting up to {seconds} s for {open} to end; a second signal ends at once");
    if timeout_at(deadline, connections.wait()).await.is_err() {
        warn!("cut {} that had not ended", counted(connections.len(), "connection"));
    }
}

/// The grace period for connections after a stop is ordered.
const DRAIN: Duration = Duration::from_secs(10);
/// The part of it that passes before the drain is logged.
const UNLOGGED: Duration = Duration::from_millis(200);
