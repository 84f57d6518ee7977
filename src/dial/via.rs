//! A session on one of several servers: the first server that has one, without a long wait for those that have
//! none.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

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
/// down or has had no session for [`PATIENCE`]. If none has a session, the first to get one wins.
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
    let (down, mut waiting): (VecDeque<usize>, VecDeque<usize>) =
        (0..servers.len()).partition(is_down);
    let mut asked = Asked { servers, target, pending: Vec::new() };
    while let Some(next) = waiting.pop_front() {
        asked.ask(next);
        tokio::select! {
            biased;
            placed = asked.first() => return placed,
            () = down_at(&servers[next]) => {}
            () = sleep(PATIENCE) => {}
        }
    }
    for index in down {
        asked.ask(index);
    }
    asked.first().await
}

/// A pending wait for a session.
type Placing<'a, P> = Pin<Box<dyn Future<Output = P> + Send + 'a>>;

/// The pending waits, in order.
struct Asked<'a, S: Server> {
    servers: &'a [S],
    target: &'a Target,
    pending: Vec<(usize, Placing<'a, S::Placed>)>,
}

impl<S: Server> Asked<'_, S> {
    fn ask(&mut self, index: usize) {
        self.pending.push((index, Box::pin(self.servers[index].place(self.target))));
    }

    /// The first wait that succeeds.
    async fn first(&mut self) -> (usize, S::Placed) {
        poll_fn(|cx| {
            for (index, place) in &mut self.pending {
                if let Poll::Ready(placed) = place.as_mut().poll(cx) {
                    return Poll::Ready((*index, placed));
                }
            }
            Poll::Pending
        })
        .await
    }
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
