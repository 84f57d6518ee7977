//! Tasks that end with their owner.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

/// Runs blocking work on a blocking thread. The work continues if the future is dropped, and the future never
/// completes if the runtime shuts down.
///
/// # Panics
///
/// The work panics, or there is no runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Ticks at once, and then once per `period`; a late tick delays the following ones.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Starts a task that is aborted when the handle is dropped. Several tasks of one owner belong in a `JoinSet`;
/// tasks that their owner only waits for, in a `TaskTracker`.
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
    async fn a_panic_is_propagated() {
        super::blocking(|| panic!("of its own")).await;
    }
}
