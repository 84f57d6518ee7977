//! A channel that is being opened: its risk for the session, and why it may fail.

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
    /// An open that, if dropped midway, continues as one of `closers`, which close a channel confirmed later.
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
                    channel.close_gracefully().await;
                }
            };
            self.closers.spawn_on(leave, &runtime);
        }
    }
}

/// The risk that opening a channel poses to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// None: the target is an address, or a name that this server has resolved recently.
    Plain,
    /// A name whose resolution may take the server a while, which blocks the whole session.
    UnresolvedName,
    /// A target whose failure has ended a session: it is opened on a session without other channels.
    Isolated,
}

/// Why a channel was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The session ended before the server answered, or the server does not answer at all: another session may
    /// serve the request.
    #[error("the session ended")]
    SessionLost,
    /// The session ended because of an undecodable text, which may have been the answer to this open or to
    /// another: the next session may end in the same way.
    #[error("the session ended at an answer that cannot be read")]
    Unreadable,
    /// The server answered with a failure, which is passed on to the client.
    #[error("the target: {0}")]
    Target(TargetFault),
}
