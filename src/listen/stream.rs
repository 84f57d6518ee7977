//! The client's connection as one type, whatever its origin.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::relay::Pipe;
use crate::stream::{RelayEnd, Socket};

/// A client's connection.
#[derive(Debug)]
pub enum ClientStream {
    /// A socket accepted by a local listener.
    Socket(Socket),
    /// A channel opened by the SSH server for a client of its own, through a pipe.
    Channel(Pipe),
}

/// Calls the same method on either kind of connection.
macro_rules! either {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self {
            ClientStream::Socket($stream) => $call,
            ClientStream::Channel($stream) => $call,
        }
    };
}

impl ClientStream {
    /// Whether the peer has sent EOF and everything before it has been read.
    pub(crate) fn at_end(&self) -> bool {
        either!(self, stream => stream.at_end())
    }

    /// The address that the client connected to, if there is one.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(Socket::Tcp(stream)) => stream.local_addr().ok(),
            Self::Socket(Socket::Unix(_)) | Self::Channel(_) => None,
        }
    }

    /// Reads through a shared reference.
    pub(crate) fn poll_read_shared(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_shared(cx, buf))
    }

    /// Drops the connection so that the peer sees a reset instead of EOF.
    pub(crate) fn reset(self) {
        self.reset_on_drop();
    }
}

impl From<TcpStream> for ClientStream {
    fn from(stream: TcpStream) -> Self {
        Self::Socket(Socket::Tcp(stream))
    }
}

impl From<UnixStream> for ClientStream {
    fn from(stream: UnixStream) -> Self {
        Self::Socket(Socket::Unix(stream))
    }
}

impl RelayEnd for ClientStream {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        either!(self, stream => RelayEnd::poll_read(stream, cx, buf))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => RelayEnd::poll_write(stream, cx, bufs))
    }

    fn reset_on_drop(&self) {
        either!(self, stream => stream.reset_on_drop());
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => RelayEnd::poll_shutdown(stream, cx))
    }

    async fn reset(&self) {
        either!(self, stream => stream.reset().await);
    }

    async fn gone(&self) {
        either!(self, stream => stream.gone().await);
    }

    async fn discard(&self) {
        either!(self, stream => stream.discard().await);
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
