//! A channel as a byte stream in memory, for code that wants `AsyncRead` and `AsyncWrite` (hyper).
//!
//! A relay of its own serves the other end, so that the promises about ends are kept in one place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::{Client, READ_SIZE};

/// The near end of a pipe. A cut reads as `ConnectionReset`, never as the end of the stream.
#[derive(Debug)]
pub struct Pipe {
    stream: DuplexStream,
    cut: Arc<AtomicBool>,
    _gone: DropGuard,
}

/// Both ends of a new pipe.
pub(super) fn ends() -> (Pipe, FarEnd) {
    let (near, far) = duplex(READ_SIZE);
    let cut = Arc::default();
    let gone = CancellationToken::new();
    let far = FarEnd { stream: Mutex::new(far), cut: Arc::clone(&cut), gone: gone.clone() };
    (Pipe { stream: near, cut, _gone: gone.drop_guard() }, far)
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if buf.filled().len() == before && buf.remaining() > 0 && this.cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The end that a relay serves.
pub(super) struct FarEnd {
    // Both pumps run in one task: the lock is never waited for.
    stream: Mutex<DuplexStream>,
    cut: Arc<AtomicBool>,
    gone: CancellationToken,
}

impl FarEnd {
    fn stream(&self) -> MutexGuard<'_, DuplexStream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client for FarEnd {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        let start = buf.len();
        buf.resize(start + READ_SIZE, 0);
        let mut read = ReadBuf::new(&mut buf[start..]);
        let polled = Pin::new(&mut *self.stream()).poll_read(cx, &mut read);
        let end = start + read.filled().len();
        if polled.is_pending() && start == 0 {
            *buf = BytesMut::new();
        } else {
            buf.truncate(end);
        }
        polled.map_ok(|()| end - start)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(cx, bufs)
    }

    fn arm(&self) {
        self.cut.store(true, Ordering::Release);
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.store(false, Ordering::Release);
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }

    async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::*;

    async fn write(far: &FarEnd, bytes: &[u8]) {
        let written = poll_fn(|cx| far.poll_write(cx, &[IoSlice::new(bytes)])).await;
        assert_eq!(written.expect("an open pipe"), bytes.len());
    }

    #[tokio::test]
    async fn a_reset_reads_as_a_fault_after_what_was_sent() {
        let (mut near, far) = ends();
        far.arm();
        write(&far, b"half").await;
        drop(far);
        let mut seen = Vec::new();
        let error = near.read_to_end(&mut seen).await.expect_err("a cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(seen, b"half");
    }

    #[tokio::test]
    async fn an_end_reads_as_an_end() {
        let (mut near, far) = ends();
        far.arm();
        write(&far, b"whole").await;
        poll_fn(|cx| far.poll_shutdown(cx)).await.expect("an open pipe");
        drop(far);
        let mut seen = Vec::new();
        near.read_to_end(&mut seen).await.expect("a clean end");
        assert_eq!(seen, b"whole");
    }

    #[tokio::test]
    async fn the_relay_notices_that_the_pipe_was_dropped() {
        let (near, far) = ends();
        drop(near);
        far.gone().await;
    }
}
