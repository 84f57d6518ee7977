//! The byte stream under a session: any stream, with a switch to cut it from outside, and a turn for
//! the others.
//!
//! russh gives no time limit to a handshake and cannot be told to let go of its stream. So the stream
//! itself can be cut: a read or write that waits fails then, and so does a read at the end of a turn;
//! the session's task ends whatever it was doing.
//!
//! While data floods in, the session's task would run for megabytes before the runtime takes its
//! turn away, and every connection's relay would wait for it. So it gives way by itself.
//!
//! What is little waits for one turn of the others before it is written: of many small messages that
//! are on their way to russh, those that come meanwhile leave in one write.
//!
//! While the socket takes nothing, russh would read nothing either. So what it writes is kept here, and
//! goes on its way whenever russh reads; those who have much to send are told to wait ([`Outflow`]).
//!
//! When russh ends a session, its channels and its reason wait until the stream is shut down. So what is
//! kept then is waited for a moment only, and no fault of the stream is told.

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

/// A stream that can be cut, by a token.
pub(crate) struct Transport<S> {
    stream: S,
    /// Bytes until the next turn of the others.
    turn: usize,
    traffic: Arc<Traffic>,
    outflow: Arc<Outflow>,
    /// What the stream has not taken yet.
    kept: BytesMut,
    /// Whether the others have had a turn since the last write.
    gave_way: bool,
    // One for each direction: a future remembers one waker only.
    cut_read: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_write: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until when the end waits for what is kept; none before the end.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Transport<S> {
    /// Wraps `stream`; cancelling `cut` ends it. `traffic` tells what it reads, `outflow` what waits to
    /// be written.
    pub(crate) fn new(
        stream: S,
        cut: &CancellationToken,
        traffic: &Arc<Traffic>,
        outflow: &Arc<Outflow>,
    ) -> Self {
        Self {
            stream,
            turn: TURN,
            traffic: Arc::clone(traffic),
            outflow: Arc::clone(outflow),
            kept: BytesMut::new(),
            gave_way: false,
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
        // A fault shows again when russh writes.
        let _ = this.poll_kept(cx);
        if this.turn == 0 {
            this.turn = TURN;
            cx.waker().wake_by_ref();
            return unless_cut(this.cut_read.as_mut(), cx);
        }
        let before = buf.filled().len();
        // russh reads a packet in two steps, the first of which tells its length.
        if before == 0 && buf.remaining() <= LENGTH_FIELD {
            this.traffic.packet_begins();
        }
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => {
                this.turn = TURN;
                unless_cut(this.cut_read.as_mut(), cx)
            }
            ready @ Poll::Ready(_) => {
                let read = buf.filled().len() - before;
                this.turn = this.turn.saturating_sub(read);
                this.traffic.add(&buf.filled()[before..]);
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Transport<S> {
    /// Writes what is kept. Ready when there is nothing left of it.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.kept.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.kept)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => {
                    self.outflow.took(written);
                    self.kept.advance(written);
                }
                Poll::Pending => {
                    self.outflow.keep(self.kept.len());
                    return Poll::Pending;
                }
            }
        }
        // An idle session holds no buffer.
        self.kept = BytesMut::new();
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
        if buf.len() < LITTLE && !this.gave_way {
            this.gave_way = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.gave_way = false;
        if this.poll_kept(cx)?.is_ready() {
            if let Poll::Ready(written) = Pin::new(&mut this.stream).poll_write(cx, buf)? {
                this.outflow.took(written);
                return Poll::Ready(Ok(written));
            }
        } else if this.kept.len() >= MOST_KEPT {
            return unless_cut(this.cut_write.as_mut(), cx);
        }
        // The socket wakes russh's task when it takes more; the task then reads, and so comes here again.
        this.kept.extend_from_slice(buf);
        this.outflow.keep(this.kept.len());
        Poll::Ready(Ok(buf.len()))
    }

    /// Nobody waits for what is kept: whatever is to come after it is kept, too.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match this.poll_kept(cx)? {
            Poll::Ready(()) => Pin::new(&mut this.stream).poll_flush(cx),
            Poll::Pending => Poll::Ready(Ok(())),
        };
        this.outflow.handed_over();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_done = this.poll_kept(cx).is_ready()
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
        // Whoever waits to send, for room or for a turn, finds out that nothing can be sent any more.
        self.outflow.keep(0);
        self.outflow.handed_over();
    }
}

/// Still waiting, unless the token was cancelled.
fn unless_cut<T>(
    cut: Pin<&mut WaitForCancellationFutureOwned>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    ready!(cut.poll(cx));
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

/// How long the end of a session waits for what is kept, a goodbye at its end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What is kept before russh has to wait, in bytes: more than it has to say by itself.
const MOST_KEPT: usize = 1 << 20;
/// Below this, a write waits for a turn of the others, in bytes: a few small messages.
const LITTLE: usize = 4 << 10;
/// What russh reads before it knows how long a packet is: a block of its cipher at the most, in
/// bytes. The rest of one is longer.
const LENGTH_FIELD: usize = 16;
/// What is read before the others have a turn, in bytes: about what the second-level cache holds.
const TURN: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_read_and_a_write_that_wait() {
        let (near, _far) = duplex(1);
        let cut = CancellationToken::new();
        let (mut read, mut write) =
            tokio::io::split(Transport::new(near, &cut, &Arc::default(), &Arc::default()));
        let reading = tokio::spawn(async move { read.read_u8().await });
        let writing = tokio::spawn(async move {
            write.write_all(&vec![0; MOST_KEPT + 1]).await?;
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
    async fn what_the_stream_does_not_take_is_kept_and_goes_while_others_read() {
        let (near, mut far) = duplex(4);
        let outflow = Arc::default();
        let mut near = Transport::new(near, &CancellationToken::new(), &Arc::default(), &outflow);
        near.write_all(b"more than").await.expect("it is kept");
        near.write_all(b" fits").await.expect("it is kept");
        near.flush().await.expect("it is on its way");
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
        near.write_all(b"the end").await.expect("it is kept");
        let (end, shut) = tokio::join!(
            async {
                let mut end = Vec::new();
                far.read_to_end(&mut end).await.map(|_| end)
            },
            near.shutdown()
        );
        shut.expect("all has gone");
        assert_eq!(end.expect("all of it"), b"the end");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_a_moment_and_tells_no_fault() {
        let (near, _far) = duplex(1);
        let cut = CancellationToken::new();
        let mut near = Transport::new(near, &cut, &Arc::default(), &Arc::default());
        near.write_all(b"goodbye").await.expect("it is kept");
        let begun = tokio::time::Instant::now();
        let ended = tokio::time::timeout(2 * LAST_WORDS, near.shutdown()).await;
        ended.expect("soon").expect("no fault");
        assert!(begun.elapsed() >= LAST_WORDS, "it may still go");

        let (near, far) = duplex(1);
        let mut near = Transport::new(near, &cut, &Arc::default(), &Arc::default());
        near.write_all(b"goodbye").await.expect("it is kept");
        drop(far);
        near.shutdown().await.expect("no fault");
    }

    /// What never makes a reader wait.
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
    async fn a_cut_ends_a_reader_that_never_waits() {
        let cut = CancellationToken::new();
        let flood = tokio::io::join(Flood, tokio::io::sink());
        let mut near = Transport::new(flood, &cut, &Arc::default(), &Arc::default());
        cut.cancel();
        let read = near.read_exact(&mut vec![0; 2 * TURN]).await.expect_err("cut");
        assert_eq!(read.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn bytes_pass_until_then() {
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
