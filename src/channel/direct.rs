//! A directly connected target with the semantics of a channel.
//!
//! The target's FIN is an EOF, its RST a cut. This side sends a FIN only after the client's EOF; dropping the
//! connection before that sends a RST.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::sync::CancellationToken;

use super::{ChannelGone, Incoming};
use crate::stream::{RelayEnd as _, Socket};

/// A direct TCP connection to a target.
#[derive(Debug)]
pub struct Direct(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Socket,
    /// Cancelled when our EOF has been sent.
    finished: CancellationToken,
}

/// The receiving half.
pub(crate) struct DirectReader {
    shared: Arc<Shared>,
    buffer: BytesMut,
    /// How the connection ends after the target's EOF.
    end: Option<Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>>,
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct DirectWriter(Arc<Shared>);

impl Direct {
    /// Wraps a connected socket.
    pub(crate) fn new(socket: Socket) -> Self {
        socket.reset_on_drop();
        Self(Arc::new(Shared { socket, finished: CancellationToken::new() }))
    }

    pub(super) fn split(self) -> (DirectReader, DirectWriter) {
        let reader =
            DirectReader { shared: Arc::clone(&self.0), buffer: BytesMut::new(), end: None };
        (reader, DirectWriter(self.0))
    }
}

impl Shared {
    /// The event after the target's EOF: CLOSE once ours has been sent, or a cut if the target resets.
    async fn end(self: Arc<Self>) -> Option<Incoming> {
        tokio::select! {
            biased;
            () = self.finished.cancelled() => Some(Incoming::Close),
            () = self.socket.gone() => None,
        }
    }
}

impl DirectReader {
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        if let Some(end) = &mut self.end {
            let event = ready!(end.as_mut().poll(cx));
            // A channel of a session does not tell its end twice either.
            *end = Box::pin(poll_fn(|_| Poll::Ready(None)));
            return Poll::Ready(event);
        }
        Poll::Ready(match ready!(self.shared.socket.poll_read(cx, &mut self.buffer)) {
            Ok(0) => {
                self.buffer = BytesMut::new();
                self.end = Some(Box::pin(Arc::clone(&self.shared).end()));
                Some(Incoming::Eof)
            }
            Ok(_) => Some(Incoming::Data(self.buffer.split().freeze())),
            Err(_) => None,
        })
    }
}

impl DirectWriter {
    pub(super) async fn send(&self, mut data: Bytes) -> Result<(), ChannelGone> {
        while !data.is_empty() {
            let written = poll_fn(|cx| self.0.socket.poll_write(cx, &[IoSlice::new(&data)])).await;
            match written {
                Ok(0) | Err(_) => return Err(ChannelGone),
                Ok(written) => data.advance(written),
            }
        }
        Ok(())
    }

    pub(super) async fn send_eof(&self) -> Result<(), ChannelGone> {
        let shut = poll_fn(|cx| self.0.socket.poll_shutdown(cx)).await;
        self.0.finished.cancel();
        shut.map_err(|_| ChannelGone)
    }
}
