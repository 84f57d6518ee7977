//! A session on one of several servers: the first server that has one, without a long wait for those that have
//! none.

use std::time::Duration;

use futures_util::future::{BoxFuture, select_all};
use tokio::time::sleep;

use crate::pool::{Availability, Placed, Pool};
use crate::target::Target;

/// The part of a pool that this choice needs; tests implement it, too.
pub(super) trait Server: Sync {
    /// A chosen session.
    type Placed;

    fn availability(&self) -> Availability;

    /// Completes when the availability may have changed since the call.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// A session, if there is one.
    fn try_place(&self, target: &Target) -> Option<Self::Placed>;

    /// A session; waits for one, and wakes the pool meanwhile.
    fn place(&self, target: &Target) -> impl Future<Output = Self::Placed> + Send;
}

impl Server for &Pool {
    type Placed = Placed;

    fn availability(&self) -> Availability {
        Pool::availability(self)
    }

    fn changed(&self) -> impl Future<Output = ()> + Send {
        Pool::changed(self)
    }

    fn try_place(&self, target: &Target) -> Option<Placed> {
        Pool::try_place(self, target)
    }

    fn place(&self, target: &Target) -> impl Future<Output = Placed> + Send {
        Pool::place(self, target)
    }
}

/// A session on one of `servers`, and the index of that server. Each server is tried when the previous one is
/// down or has had no session for [`PATIENCE`]. If none has a session, the first to get one wins. There must be
/// at least one server.
///
/// # Cancel safety
///
/// May be dropped at any time.
pub(super) async fn place<S: Server>(servers: &[S], target: &Target) -> (usize, S::Placed) {
    for (index, server) in servers.iter().enumerate() {
        if let Some(placed) = server.try_place(target) {
            return (index, placed);
        }
        if server.availability() == Availability::Pending {
            break;
        }
    }
    // A server that is down is tried last.
    let is_down = |&index: &usize| servers[index].availability() == Availability::Down;
    let (down, waiting): (Vec<usize>, Vec<usize>) = (0..servers.len()).partition(is_down);
    let ask = |index: usize| -> BoxFuture<'_, (usize, S::Placed)> {
        Box::pin(async move { (index, servers[index].place(target).await) })
    };
    let mut asked = Vec::new();
    for next in waiting {
        asked.push(ask(next));
        tokio::select! {
            biased;
            (placed, ..) = select_all(&mut asked) => return placed,
            () = down_at(&servers[next]) => {}
            () = sleep(PATIENCE) => {}
        }
    }
    asked.extend(down.into_iter().map(ask));
    let (placed, ..) = select_all(asked).await;
    placed
}

/// Completes when the server is down.
async fn down_at<S: Server>(server: &S) {
    loop {
        let changed = server.changed();
        if server.availability() == Availability::Down {
            return;
        }
        changed.await;
    }
}

/// How long to wait for a server before the next one is tried as well.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
