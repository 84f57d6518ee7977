//! What carries the bytes of a session: a TCP connection, a channel of another session, or a program.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::proxy_command::ProxyCommand;
use super::ssh_socket::SshSocket;
use crate::ssh::session::outflow::Outflow;
use crate::stream::ByteStream;

/// The stream under a session.
pub(crate) enum Wire {
    Tcp(SshSocket),
    Channel(Box<dyn ByteStream>),
    Command(ProxyCommand),
}

impl Wire {
    /// Receives what the line is found to carry.
    pub(crate) fn report_to(&mut self, outflow: &Arc<Outflow>) {
        if let Self::Tcp(socket) = self {
            socket.report_to(outflow);
        }
    }

    fn reader(self: Pin<&mut Self>) -> Pin<&mut (dyn AsyncRead + Send + Unpin)> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket),
            Self::Channel(stream) => Pin::new(stream),
            Self::Command(command) => Pin::new(command),
        }
    }

    fn writer(self: Pin<&mut Self>) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket),
            Self::Channel(stream) => Pin::new(stream),
            Self::Command(command) => Pin::new(command),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }
}
