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
use crate::stream::Client;

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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_only_listens_is_given_up_when_nothing_is_said() {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        let socket = HttpSocket::new(server.into());
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, socket.abandoned()).await.is_err(), "it may still ask");
        client.shutdown().await.expect("open");
        let start = Instant::now();
        socket.abandoned().await;
        assert_eq!(start.elapsed(), 2 * QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_written_to_is_not_given_up() {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        client.shutdown().await.expect("open");
        let socket = Arc::new(HttpSocket::new(server.into()));
        let mut stream = HttpStream::new(socket.clone(), Bytes::new());
        let talk = async {
            for _ in 0..100 {
                stream.write_all(b"x").await.expect("room");
                sleep(QUIET).await;
            }
        };
        tokio::select! {
            () = talk => {}
            () = socket.abandoned() => panic!("given up"),
        }
    }
}
