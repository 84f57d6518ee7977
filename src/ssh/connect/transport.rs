//! The byte stream under a session: any stream, with a switch to cut it from outside, and a turn for
//! the others.
//!
//! The library gives no time limit to a handshake and cannot be told to let go of its stream. So
//! the stream itself can be cut: every read and write that waits then fails, and the session's task
//! ends whatever it was doing.
//!
//! While data floods in, the session's task would run for megabytes before the runtime takes its
//! turn away, and every connection's relay would wait for it. So it gives way by itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::reach::Reached;
use crate::ssh::session::Traffic;

/// A stream that fails once its token is cancelled.
pub(crate) struct Transport<S> {
    stream: S,
    /// Bytes until the next turn of the others.
    turn: usize,
    traffic: Arc<Traffic>,
    // One for each direction: a future remembers one waker only.
    cut_read: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_write: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Transport<S> {
    /// Wraps `stream`; cancelling `cut` ends it. `traffic` tells what it reads.
    pub(crate) fn new(stream: S, cut: &CancellationToken, traffic: &Arc<Traffic>) -> Self {
        Self {
            stream,
            turn: TURN,
            traffic: Arc::clone(traffic),
            cut_read: Box::pin(cut.clone().cancelled_owned()),
            cut_write: Box::pin(cut.clone().cancelled_owned()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.turn == 0 {
            this.turn = TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Pending => unless_cut(this.cut_write.as_mut(), cx),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => unless_cut(this.cut_write.as_mut(), cx),
            ready @ Poll::Ready(_) => ready,
        }
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

/// Still waiting, unless the token was cancelled.
fn unless_cut<T>(
    cut: Pin<&mut WaitForCancellationFutureOwned>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    ready!(cut.poll(cx));
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

/// A TCP connection to an SSH server, tuned for many small packets.
pub(crate) struct SshSocket {
    socket: TcpStream,
    connecting: Duration,
    acknowledgement: Acknowledgement,
}

/// Whether the peer waits for the kernel to acknowledge what has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledgement {
    Asked,
    /// The last read filled its buffer: while there is more, the kernel acknowledges by itself.
    Owed,
}

impl SshSocket {
    /// Takes a connected socket: no delay for small packets, and an end to a peer that has not
    /// acknowledged anything for `unacknowledged` (`TCP_USER_TIMEOUT`).
    pub(crate) fn new(reached: Reached, unacknowledged: Duration) -> io::Result<Self> {
        let Reached { socket, took } = reached;
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_user_timeout(Some(unacknowledged))?;
        Ok(Self { socket, connecting: took, acknowledgement: Acknowledgement::Asked })
    }

    /// How long it took to connect.
    pub(crate) fn connecting(&self) -> Duration {
        self.connecting
    }

    /// Has the kernel acknowledge at once what has been read.
    ///
    /// A forward-only sshd never sets `TCP_NODELAY`, so its second small packet waits for our
    /// acknowledgement, which Linux would delay by 40 ms. The kernel forgets the option by itself,
    /// hence after each burst.
    fn acknowledge(&mut self) {
        self.acknowledgement = Acknowledgement::Asked;
        // It is advice: failing to give it is no fault.
        let _ = SockRef::from(&self.socket).set_tcp_quickack(true);
    }
}

impl AsyncRead for SshSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf)?;
        if polled.is_ready() && buf.remaining() == 0 {
            this.acknowledgement = Acknowledgement::Owed;
        } else if polled.is_ready() || this.acknowledgement == Acknowledgement::Owed {
            this.acknowledge();
        }
        polled.map(Ok)
    }
}

impl AsyncWrite for SshSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

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
        let (mut read, mut write) = tokio::io::split(Transport::new(near, &cut, &Arc::default()));
        let reading = tokio::spawn(async move { read.read_u8().await });
        let writing = tokio::spawn(async move { write.write_all(b"more than fits").await });
        tokio::task::yield_now().await;
        cut.cancel();
        let read = reading.await.expect("the reader ends").expect_err("cut");
        let written = writing.await.expect("the writer ends").expect_err("cut");
        assert_eq!(read.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn bytes_pass_until_then() {
        let (near, mut far) = duplex(64);
        let traffic = Arc::default();
        let mut near = Transport::new(near, &CancellationToken::new(), &traffic);
        near.write_all(b"hello").await.expect("room");
        let mut seen = [0; 5];
        far.read_exact(&mut seen).await.expect("what was written");
        assert_eq!(&seen, b"hello");
        far.write_all(b"bye").await.expect("room");
        near.read_exact(&mut [0; 3]).await.expect("what was written");
        assert_eq!((traffic.received(), traffic.head()), (3, b"bye".to_vec()));
    }
}
