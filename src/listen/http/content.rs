//! A web server's content on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::aside::Aside;

/// The content of a response. hyper drops it once all of it is in hyper's buffer.
#[derive(Debug)]
pub(crate) struct Content {
    incoming: Incoming,
    /// Notified of that.
    parting: Option<Arc<Aside>>,
}

impl Content {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming, parting: None }
    }

    /// The content of the last response to a client.
    pub(crate) fn last(incoming: Incoming, aside: Arc<Aside>) -> Self {
        Self { incoming, parting: Some(aside) }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if matches!(frame, Some(Err(_))) {
            // The content broke off.
            self.parting = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(aside) = &self.parting {
            aside.is_parting.store(true, Relaxed);
        }
    }
}
