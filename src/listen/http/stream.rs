//! The client's socket under hyper: shared, so that it can be watched while hyper owns the stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::listen::stream::ClientStream;
use crate::relay::Client;

/// The socket, and whether the client took something lately.
#[derive(Debug)]
pub(crate) struct HttpSocket {
    stream: ClientStream,
    written: AtomicBool,
}

/// What hyper reads and writes.
#[derive(Debug)]
pub(crate) struct HttpStream {
    socket: Arc<HttpSocket>,
    /// What was read before hyper came: it goes first.
    ahead: Bytes,
}

impl HttpSocket {
    pub(crate) fn new(stream: ClientStream) -> Self {
        Self { stream, written: AtomicBool::new(false) }
    }

    pub(crate) fn stream(&self) -> &ClientStream {
        &self.stream
    }

    pub(crate) fn into_stream(self) -> ClientStream {
        self.stream
    }

    /// Completes when the client has stopped sending and nothing was written to it for 30 to 60 s.
    ///
    /// A client that has closed looks like one that has only finished sending, until it is written
    /// to. Nothing else would end the wait for a response that never comes. The kernel of a client
    /// that has closed forgets the connection after the same 60 s.
    pub(crate) async fn abandoned(&self) {
        let mut was_quiet = false;
        loop {
            sleep(QUIET).await;
            let quiet = !self.written.swap(false, Ordering::Relaxed) && self.stream.at_end();
            if quiet && was_quiet {
                return;
            }
            was_quiet = quiet;
        }
    }
}

impl HttpStream {
    pub(crate) fn new(socket: Arc<HttpSocket>, ahead: Bytes) -> Self {
        Self { socket, ahead }
    }

    pub(crate) fn into_parts(self) -> (Arc<HttpSocket>, Bytes) {
        (self.socket, self.ahead)
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.socket.stream.poll_read_shared(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.written.store(true, Ordering::Relaxed);
        Client::poll_write(&self.socket.stream, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Client::poll_shutdown(&self.socket.stream, cx)
    }
}

/// Half of the time that a quiet client which has stopped sending is waited for.
const QUIET: Duration = Duration::from_secs(30);
