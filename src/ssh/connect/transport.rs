//! The byte stream under a session: any stream, with a switch to cut it from outside, which yields to other
//! tasks and buffers writes.
//!
//! russh has no time limit for a handshake and no way to make it release its stream. So the stream itself can
//! be cut: pending reads and writes fail, as does a read after the task has yielded, and russh's task ends
//! whatever it was doing.
//!
//! While data floods in, russh's task would process megabytes before the runtime preempts it, and delay every
//! connection's relay. So reads yield on their own.
//!
//! A small write first yields once, so that further small messages already on their way to russh leave in the
//! same write.
//!
//! While the socket accepts no data, russh would not read either. So pending writes are buffered here and
//! flushed whenever russh reads; those who have much to send are made to wait ([`Outflow`]).
//!
//! When russh ends a session, the end of its channels and its reason are reported only after the stream is shut
//! down. So the shutdown waits only briefly for buffered data, and reports no error.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::ssh::session::Traffic;
use crate::ssh::session::outflow::Outflow;

/// A stream that can be cut by a token.
pub(crate) struct Transport<S> {
    stream: S,
    /// Bytes until the next yield of reads.
    until_yield: usize,
    traffic: Arc<Traffic>,
    outflow: Arc<Outflow>,
    /// Data that the stream has not accepted yet.
    buffered: BytesMut,
    /// Whether the task has yielded since the last write.
    has_yielded: bool,
    // One future per direction, since a future remembers only one waker.
    cut_read: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_write: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The deadline of buffered data; none before the shutdown.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Transport<S> {
    /// Wraps `stream`; cancelling `cut` ends it. `traffic` records what is read, `outflow` what is waiting to
    /// be written.
    pub(crate) fn new(
        stream: S,
        cut: &CancellationToken,
        traffic: &Arc<Traffic>,
        outflow: &Arc<Outflow>,
    ) -> Self {
        Self {
            stream,
            until_yield: YIELD_AFTER,
            traffic: Arc::clone(traffic),
            outflow: Arc::clone(outflow),
            buffered: BytesMut::new(),
            has_yielded: false,
            cut_read: Box::pin(cut.clone().cancelled_owned()),
            cut_write: Box::pin(cut.clone().cancelled_owned()),
            end: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // An error shows up again when russh writes.
        let _ = this.poll_buffered(cx);
        if this.until_yield == 0 {
            this.until_yield = YIELD_AFTER;
            cx.waker().wake_by_ref();
            return unless_cut(this.cut_read.as_mut(), cx);
        }
        let before = buf.filled().len();
        // russh reads a packet in two steps; the first one contains its length.
        if before == 0 && buf.remaining() <= LENGTH_FIELD {
            this.traffic.packet_begins();
        }
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => {
                this.until_yield = YIELD_AFTER;
                unless_cut(this.cut_read.as_mut(), cx)
            }
            ready @ Poll::Ready(_) => {
                let read = buf.filled().len() - before;
                this.until_yield = this.until_yield.saturating_sub(read);
                this.traffic.add(&buf.filled()[before..]);
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Transport<S> {
    /// Writes buffered data. Ready when the buffer is empty.
    fn poll_buffered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.buffered.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.buffered)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => {
                    self.outflow.took(written);
                    self.buffered.advance(written);
                }
                Poll::Pending => {
                    self.outflow.keep(self.buffered.len());
                    return Poll::Pending;
                }
            }
        }
        // An idle session holds no buffer.
        self.buffered = BytesMut::new();
        self.outflow.keep(0);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.len() < SMALL_WRITE && !this.has_yielded {
            this.has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.has_yielded = false;
        if this.poll_buffered(cx)?.is_ready() {
            if let Poll::Ready(written) = Pin::new(&mut this.stream).poll_write(cx, buf)? {
                this.outflow.took(written);
                return Poll::Ready(Ok(written));
            }
        } else if this.buffered.len() >= MAX_BUFFERED {
            return unless_cut(this.cut_write.as_mut(), cx);
        }
        // The socket wakes russh's task when it accepts more; the task then reads, which flushes the buffer.
        this.buffered.extend_from_slice(buf);
        this.outflow.keep(this.buffered.len());
        Poll::Ready(Ok(buf.len()))
    }

    /// Does not wait for buffered data, since later writes are buffered as well.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match this.poll_buffered(cx)? {
            Poll::Ready(()) => Pin::new(&mut this.stream).poll_flush(cx),
            Poll::Pending => Poll::Ready(Ok(())),
        };
        this.outflow.handed_over();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_done = this.poll_buffered(cx).is_ready()
            && Pin::new(&mut this.stream).poll_shutdown(cx).is_ready();
        let end = this.end.get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
        if is_done || end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.cut_write.as_mut().poll(cx).map(Ok)
    }
}

impl<S> Drop for Transport<S> {
    fn drop(&mut self) {
        // Those that wait to send, for room or for their turn, find out that the session has ended.
        self.outflow.keep(0);
        self.outflow.handed_over();
    }
}

/// The result for a stalled operation: pending unless the token was cancelled.
fn unless_cut<T>(
    cut: Pin<&mut WaitForCancellationFutureOwned>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    ready!(cut.poll(cx));
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

/// How long the shutdown waits for buffered data, which ends with a disconnect message.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The maximum size of the buffer in bytes, more than russh sends on its own.
const MAX_BUFFERED: usize = 1 << 20;
/// The size in bytes below which a write yields first: a few small messages.
const SMALL_WRITE: usize = 4 << 10;
/// The maximum size in bytes of the read in which russh learns the length of a packet: a block of its cipher.
/// Its second read is longer.
const LENGTH_FIELD: usize = 16;
/// Bytes that are read before yielding: about the size of the second-level cache.
const YIELD_AFTER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_pending_read_and_a_pending_write() {
        let (near, _far) = duplex(1);
        let cut = CancellationToken::new();
        let (mut read, mut write) =
            tokio::io::split(Transport::new(near, &cut, &Arc::default(), &Arc::default()));
        let reading = tokio::spawn(async move { read.read_u8().await });
        let writing = tokio::spawn(async move {
            write.write_all(&vec![0; MAX_BUFFERED + 1]).await?;
            write.write_all(b"more than is kept").await
        });
        tokio::task::yield_now().await;
        cut.cancel();
        let read = reading.await.expect("the reader ends").expect_err("cut");
        let written = writing.await.expect("the writer ends").expect_err("cut");
        assert_eq!(read.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn unaccepted_writes_are_buffered_and_flushed_by_reads() {
        let (near, mut far) = duplex(4);
        let outflow = Arc::default();
        let mut near = Transport::new(near, &CancellationToken::new(), &Arc::default(), &outflow);
        near.write_all(b"more than").await.expect("it is buffered");
        near.write_all(b" fits").await.expect("it is buffered");
        near.flush().await.expect("it does not wait");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(outflow.waiting() > Duration::ZERO);
        let mut seen = [0; 14];
        let mut answer = [0; 1];
        let (read, written) = tokio::join!(near.read_exact(&mut answer), async {
            far.read_exact(&mut seen).await?;
            far.write_all(b"!").await
        });
        read.expect("an answer");
        written.expect("room");
        assert_eq!(&seen, b"more than fits");
        assert_eq!(outflow.waiting(), Duration::ZERO);
        near.write_all(b"the end").await.expect("it is buffered");
        let (end, shut) = tokio::join!(
            async {
                let mut end = Vec::new();
                far.read_to_end(&mut end).await.map(|_| end)
            },
            near.shutdown()
        );
        shut.expect("everything is flushed");
        assert_eq!(end.expect("all of it"), b"the end");
    }

    #[tokio::test(start_paused = true)]
    async fn the_shutdown_waits_briefly_and_reports_no_error() {
        let (near, _far) = duplex(1);
        let cut = CancellationToken::new();
        let mut near = Transport::new(near, &cut, &Arc::default(), &Arc::default());
        near.write_all(b"goodbye").await.expect("it is buffered");
        let begun = tokio::time::Instant::now();
        let ended = tokio::time::timeout(2 * LAST_WORDS, near.shutdown()).await;
        ended.expect("soon").expect("no fault");
        assert!(begun.elapsed() >= LAST_WORDS, "it may still be flushed");

        let (near, far) = duplex(1);
        let mut near = Transport::new(near, &cut, &Arc::default(), &Arc::default());
        near.write_all(b"goodbye").await.expect("it is buffered");
        drop(far);
        near.shutdown().await.expect("no fault");
    }

    /// A stream whose reads are always ready.
    struct Flood;

    impl AsyncRead for Flood {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.put_slice(&vec![0; buf.remaining().min(1 << 14)]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_cut_ends_a_reader_that_is_never_pending() {
        let cut = CancellationToken::new();
        let flood = tokio::io::join(Flood, tokio::io::sink());
        let mut near = Transport::new(flood, &cut, &Arc::default(), &Arc::default());
        cut.cancel();
        let read = near.read_exact(&mut vec![0; 2 * YIELD_AFTER]).await.expect_err("cut");
        assert_eq!(read.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn bytes_pass_without_a_cut() {
        let (near, mut far) = duplex(64);
        let traffic = Arc::default();
        let mut near = Transport::new(near, &CancellationToken::new(), &traffic, &Arc::default());
        near.write_all(b"hello").await.expect("room");
        let mut seen = [0; 5];
        far.read_exact(&mut seen).await.expect("what was written");
        assert_eq!(&seen, b"hello");
        far.write_all(b"bye").await.expect("room");
        near.read_exact(&mut [0; 3]).await.expect("what was written");
        assert_eq!((traffic.received(), traffic.head()), (3, b"bye".to_vec()));
    }
}
