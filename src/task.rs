//! Tasks that end with their owner.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

/// Does something that blocks, away from the runtime's own threads. It goes on where the future is dropped.
/// While the runtime ends, the future does not.
///
/// # Panics
///
/// It panics, or there is no runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Ticks at once, and then each time that `period` is over; a tick that comes late delays those after it.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Starts a task that is aborted when the handle is dropped. Several tasks of one owner are a `JoinSet`;
/// those that their owner only waits for, a `TaskTracker`.
///
/// # Panics
///
/// There is no runtime.
#[expect(clippy::disallowed_methods, reason = "the only place where a task is started by itself")]
pub(crate) fn spawn<F>(future: F) -> AbortOnDropHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(future))
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    #[should_panic(expected = "of its own")]
    async fn a_panic_is_not_lost_on_its_way() {
        super::blocking(|| panic!("of its own")).await;
    }
}
