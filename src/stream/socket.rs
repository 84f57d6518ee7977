//! A connected TCP or unix socket, as one type.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::stream::{READ_SIZE, RelayEnd};

/// A connection to a client, or to a directly connected target.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// Calls the same method on either kind of socket.
macro_rules! either {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
        }
    };
}

impl Socket {
    /// Whether the peer has sent EOF and everything before it has been read.
    pub(crate) fn at_end(&self) -> bool {
        matches!(self.reference().peek(&mut [MaybeUninit::uninit()]), Ok(0))
    }

    /// Reads through a shared reference.
    pub(crate) fn poll_read_shared(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_readable(cx))?;
            match either!(self, socket => socket.try_read_buf(buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }

    /// Reads once. If the buffer was not filled, the next read waits for readiness, which saves a call that
    /// would find nothing after each small message.
    fn read_once(&self, buf: &mut BytesMut) -> io::Result<usize> {
        let (before, room) = (buf.len(), buf.capacity() - buf.len());
        // Readiness that arrives during the read is kept: the error clears only what was known before.
        let read = either!(self, socket => socket.try_io(Interest::READABLE, || {
            match socket.try_read_buf(buf)? {
                0 => Ok(()),
                read if read < room => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        }));
        match read {
            Err(error) if buf.len() == before => Err(error),
            _ => Ok(buf.len() - before),
        }
    }

    fn set_linger(&self, linger: Option<Duration>) {
        if let Self::Tcp(socket) = self {
            // This fails only if the socket is dead already.
            let _ = SockRef::from(socket).set_linger(linger);
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => socket.poll_read_ready(cx))
    }

    fn reference(&self) -> SockRef<'_> {
        either!(self, socket => SockRef::from(socket))
    }
}

impl RelayEnd for Socket {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            if self.poll_readable(cx)?.is_pending() {
                if buf.is_empty() {
                    *buf = BytesMut::new();
                }
                return Poll::Pending;
            }
            buf.reserve(READ_SIZE);
            match self.read_once(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, socket => socket.poll_write_ready(cx)))?;
            match either!(self, socket => socket.try_write_vectored(bufs)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn reset_on_drop(&self) {
        // With a linger time of zero, close() sends a RST and discards unsent data. A unix socket has no reset:
        // its peer sees EOF, or ECONNRESET if data was unread.
        self.set_linger(Some(Duration::ZERO));
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.set_linger(None);
        Poll::Ready(self.reference().shutdown(Shutdown::Write))
    }

    async fn reset(&self) {
        // The kernel reports an error if the peer has reset the connection.
        let _ = either!(self, socket => socket.ready(Interest::ERROR).await);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), socket => Pin::new(socket).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), socket => Pin::new(socket).poll_shutdown(cx))
    }
}
