//! A channel as an in-memory byte stream, for code that needs a stream instead of a channel: hyper, and a proxy
//! whose client is a channel opened by the server.
//!
//! A relay serves the other end, so that the guarantees about EOF and resets are kept in one place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::lock::lock;
use crate::registry::Connection;
use crate::stream::{READ_SIZE, RelayEnd, append, drain};

/// One end of a pipe. If the other end is cut, reads fail with `ConnectionReset`, or with `ConnectionAborted`
/// if the user killed the connection; they never return EOF.
#[derive(Debug)]
pub struct Pipe {
    // Reads and writes run in one task, so that the lock is never contended.
    stream: Mutex<DuplexStream>,
    own: Arc<End>,
    other: Arc<End>,
    /// Whether everything that the other end sent has been read.
    at_end: AtomicBool,
    _gone: DropGuard,
    /// The connection that the pipe belongs to, if the user may kill it.
    pub(super) connection: Option<Arc<Connection>>,
}

/// How one end finishes.
#[derive(Debug, Default)]
struct End {
    /// Whether dropping this end resets the other.
    resets: AtomicBool,
    /// Whether this end has sent EOF.
    is_over: AtomicBool,
    /// Cancelled when this end is dropped.
    gone: CancellationToken,
}

/// Both ends of a new pipe.
pub(super) fn ends() -> (Pipe, Pipe) {
    let (near, far) = duplex(READ_SIZE);
    let (near_end, far_end) = (Arc::default(), Arc::default());
    (Pipe::new(near, &near_end, &far_end), Pipe::new(far, &far_end, &near_end))
}

impl Pipe {
    fn new(stream: DuplexStream, own: &Arc<End>, other: &Arc<End>) -> Self {
        Self {
            stream: Mutex::new(stream),
            own: Arc::clone(own),
            other: Arc::clone(other),
            at_end: AtomicBool::new(false),
            _gone: own.gone.clone().drop_guard(),
            connection: None,
        }
    }

    /// Whether the other end has sent EOF and everything before it has been read.
    pub(crate) fn at_end(&self) -> bool {
        self.at_end.load(Ordering::Acquire)
    }

    /// Reads through a shared reference.
    pub(crate) fn poll_read_shared(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.stream()).poll_read(cx, buf))?;
        if buf.filled().len() == before && buf.remaining() > 0 {
            if self.other.resets.load(Ordering::Acquire) {
                let is_killed = self.connection.as_ref().is_some_and(|it| it.is_killed());
                return Poll::Ready(Err(if is_killed {
                    io::ErrorKind::ConnectionAborted.into()
                } else {
                    io::ErrorKind::ConnectionReset.into()
                }));
            }
            self.at_end.store(true, Ordering::Release);
        }
        Poll::Ready(Ok(()))
    }

    fn stream(&self) -> MutexGuard<'_, DuplexStream> {
        lock(&self.stream)
    }
}

impl RelayEnd for Pipe {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        append(buf, |read| self.poll_read_shared(cx, read))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(cx, bufs)
    }

    fn reset_on_drop(&self) {
        self.own.resets.store(true, Ordering::Release);
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.own.resets.store(false, Ordering::Release);
        self.own.is_over.store(true, Ordering::Release);
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }

    async fn reset(&self) {
        self.other.gone.cancelled().await;
        if self.other.is_over.load(Ordering::Acquire) {
            // What the other end sent before its EOF is still to be read: this is no reset.
            std::future::pending::<()>().await;
        }
    }

    async fn gone(&self) {
        self.other.gone.cancelled().await;
    }

    /// Reads until the other end is gone: a relay may receive nothing until there is room here.
    async fn discard(&self) {
        drain(self).await;
        self.gone().await;
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        RelayEnd::poll_write(&*self, cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        RelayEnd::poll_write(&*self, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        RelayEnd::poll_shutdown(&*self, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reset_reads_as_an_error_after_the_data() {
        let (mut near, mut far) = ends();
        far.reset_on_drop();
        far.write_all(b"half").await.expect("an open pipe");
        drop(far);
        let mut seen = Vec::new();
        let error = near.read_to_end(&mut seen).await.expect_err("a cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(seen, b"half");
    }

    #[tokio::test]
    async fn eof_reads_as_eof() {
        let (mut near, mut far) = ends();
        far.reset_on_drop();
        far.write_all(b"whole").await.expect("an open pipe");
        poll_fn(|cx| RelayEnd::poll_shutdown(&far, cx)).await.expect("an open pipe");
        drop(far);
        let mut seen = Vec::new();
        assert!(!near.at_end());
        near.read_to_end(&mut seen).await.expect("a clean end");
        assert_eq!(seen, b"whole");
        assert!(near.at_end());
    }

    #[tokio::test]
    async fn an_end_without_reset_on_drop_ends_cleanly() {
        let (near, mut far) = ends();
        drop(near);
        far.read_to_end(&mut Vec::new()).await.expect("a clean end");
    }

    #[tokio::test]
    async fn a_clean_end_is_no_reset() {
        let (mut near, far) = ends();
        near.shutdown().await.expect("an open pipe");
        drop(near);
        far.gone().await;
        assert_eq!(far.reset().now_or_never(), None);
        let (near, far) = ends();
        drop(near);
        far.reset().await;
    }

    #[tokio::test]
    async fn each_end_notices_that_the_other_was_dropped() {
        let (near, far) = ends();
        drop(near);
        far.gone().await;
        let (near, far) = ends();
        drop(far);
        near.gone().await;
    }
}
