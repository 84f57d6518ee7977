//! A channel that is being opened: what that may do to its session, and why it was not.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::channel::Channel;
use super::open_failure::TargetFault;

/// A channel that is being opened. See [`Session::open`](super::Session::open).
pub(crate) struct Opening {
    future: Option<BoxFuture<'static, Result<Channel, OpenError>>>,
    closers: TaskTracker,
}

impl Opening {
    /// What is dropped in mid-way goes on as one of `closers`, and a late success is closed.
    pub(crate) fn new(
        closers: TaskTracker,
        future: impl Future<Output = Result<Channel, OpenError>> + Send + 'static,
    ) -> Self {
        Self { future: Some(Box::pin(future)), closers }
    }
}

impl Future for Opening {
    type Output = Result<Channel, OpenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.future.as_mut().expect("an opening is not polled after it is done");
        let result = ready!(future.as_mut().poll(cx));
        self.future = None;
        Poll::Ready(result)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(future) = self.future.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let leave = async move {
                if let Ok(channel) = future.await {
                    channel.leave().await;
                }
            };
            self.closers.spawn_on(leave, &runtime);
        }
    }
}

/// What the opening of a channel may do to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// Nothing: to an address, or a name that this server has resolved lately.
    Plain,
    /// A name whose resolution may take the server a while, during which the whole session stands still.
    UnresolvedName,
    /// A target at whose failure a session has ended: it is opened on a session that carries nothing
    /// else.
    Isolated,
}

/// Why a channel was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The session ended before the server answered, or the server does not answer at all: another
    /// session may serve the request.
    #[error("the session ended")]
    SessionLost,
    /// The session ended at a text of the server's that cannot be read, which may have been the answer
    /// to this open or to another: the same may happen to the next session.
    #[error("the session ended at an answer that cannot be read")]
    Unreadable,
    /// The server answered that it could not or would not: the answer is the client's to hear.
    #[error("the target: {0}")]
    Target(TargetFault),
}
