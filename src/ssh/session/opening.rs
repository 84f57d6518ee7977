//! A channel that is being opened, and why it was not.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::channel::Channel;
use super::open_failure::TargetFault;

type OpenFuture = Pin<Box<dyn Future<Output = Result<Channel, OpenError>> + Send>>;

/// A channel that is being opened. See [`Session::open`](super::Session::open).
pub(crate) struct Opening(Option<OpenFuture>);

impl Opening {
    /// What is dropped in mid-way goes on in a task of its own, and a late success is closed.
    pub(crate) fn new(
        future: impl Future<Output = Result<Channel, OpenError>> + Send + 'static,
    ) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl Future for Opening {
    type Output = Result<Channel, OpenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut().expect("an opening is not polled after it is done");
        let result = std::task::ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(result)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // A channel that is dropped is closed.
            runtime.spawn(async move { drop(future.await) });
        }
    }
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
    #[error("the target: {0:?}")]
    Target(TargetFault),
}
