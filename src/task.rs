//! Tasks that end with their owner.

use tokio_util::task::AbortOnDropHandle;

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
