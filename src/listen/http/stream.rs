//! The client's socket, used by hyper: shared, so that it can be watched while hyper owns the stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::aside::Aside;
use super::wire::request::Malformed;
use super::wire::requests::{Requests, Step};
use crate::listen::stream::ClientStream;
use crate::stream::RelayEnd;

/// The socket, and whether the client has recently accepted data.
#[derive(Debug)]
pub(crate) struct HttpSocket {
    pub(crate) stream: ClientStream,
    written: AtomicBool,
}

/// The stream that hyper reads and writes: heads of requests are parsed and rewritten.
#[derive(Debug)]
pub(crate) struct HttpStream {
    socket: Arc<HttpSocket>,
    aside: Arc<Aside>,
    requests: Requests,
    /// Whether nothing more is written.
    has_ended: bool,
}

impl HttpSocket {
    pub(crate) fn new(stream: ClientStream) -> Self {
        Self { stream, written: AtomicBool::new(false) }
    }

    /// Completes when the client half-closed at least 30 s ago, and nothing was written to it for 60 s.
    ///
    /// A client that has closed its connection looks like one that has only half-closed, until data is sent to
    /// it. Nothing else would end the wait for a response that never comes. The kernel of a client that has
    /// closed forgets the connection after the same 60 s.
    pub(crate) async fn abandoned(&self) {
        let mut was_quiet = false;
        loop {
            sleep(QUIET).await;
            let quiet = !self.written.swap(false, Relaxed) && self.stream.at_end();
            if quiet && was_quiet {
                return;
            }
            was_quiet = quiet;
        }
    }
}

impl HttpStream {
    /// `ahead` is data that was read before hyper started.
    pub(crate) fn new(socket: Arc<HttpSocket>, aside: Arc<Aside>, ahead: &[u8]) -> Self {
        Self { socket, aside, requests: Requests::new(ahead), has_ended: false }
    }

    /// The socket, and the data that was read but not returned.
    pub(crate) fn into_parts(self) -> (Arc<HttpSocket>, Bytes) {
        (self.socket, self.requests.input.freeze())
    }

    /// Reads bytes that are no longer HTTP.
    fn poll_read_on(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = &mut self.requests.input;
        if input.is_empty() {
            return self.socket.stream.poll_read_shared(cx, buf);
        }
        let length = input.len().min(buf.remaining());
        buf.put_slice(&input.split_to(length));
        Poll::Ready(Ok(()))
    }

    /// Reads more of a head, past `buf`, which is only borrowed. `false` at EOF.
    fn poll_read_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(self.socket.stream.poll_read_shared(cx, buf))?;
        let read = &buf.filled()[before..];
        let is_more = !read.is_empty();
        self.requests.input.extend_from_slice(read);
        buf.set_filled(before);
        Poll::Ready(Ok(is_more))
    }

    /// Reads content, and keeps what follows it.
    fn poll_read_content(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.socket.stream.poll_read_shared(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            let ended = self.requests.end();
            return Poll::Ready(ended.map(drop).map_err(|fault| self.fault(fault)));
        }
        let (admitted, length) = (self.requests.admit(read), read.len());
        let admitted = admitted.map_err(|fault| self.fault(fault))?;
        if admitted < length {
            self.requests.input.extend_from_slice(&buf.filled()[before + admitted..]);
            buf.set_filled(before + admitted);
        }
        Poll::Ready(Ok(()))
    }

    /// Records whose fault it is that the content ends here.
    fn fault(&self, fault: Malformed) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
        self.aside.fault.put(fault);
        error
    }

    /// Writes queued interim responses, ahead of what hyper writes next.
    fn poll_interim(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut interim = self.aside.interim();
        while let Some(response) = interim.front_mut() {
            self.socket.written.store(true, Relaxed);
            let bytes = [IoSlice::new(response)];
            let length = ready!(RelayEnd::poll_write(&self.socket.stream, cx, &bytes))?;
            response.advance(length);
            if response.is_empty() {
                interim.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.aside.has_switched.load(Relaxed) {
                return this.poll_read_on(cx, buf);
            }
            match this.requests.step(buf.remaining()).map_err(|fault| this.fault(fault))? {
                Step::Bytes(bytes) => {
                    buf.put_slice(&bytes);
                    break;
                }
                Step::Head(head) => this.aside.head.put(head),
                Step::NeedsHead => {
                    if !ready!(this.poll_read_head(cx, buf))?
                        && let Ok(Some(malformed)) = this.requests.end()
                    {
                        this.aside.head.put(Err(malformed));
                    }
                }
                Step::NeedsContent => {
                    ready!(this.poll_read_content(cx, buf))?;
                    break;
                }
                Step::Over => break,
            }
        }
        this.aside.has_more.store(!this.requests.is_between(), Relaxed);
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
        if !self.aside.is_writing.load(Relaxed) {
            ready!(self.poll_interim(cx))?;
            self.aside.is_writing.store(true, Relaxed);
        }
        self.socket.written.store(true, Relaxed);
        RelayEnd::poll_write(&self.socket.stream, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has written everything it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.aside.is_writing.store(false, Relaxed);
        ready!(self.poll_interim(cx))?;
        if self.aside.is_parting.swap(false, Relaxed) {
            // A client that sends may continue; one that has half-closed is read to EOF. The next read reports
            // if it is gone.
            self.has_ended = RelayEnd::poll_shutdown(&self.socket.stream, cx).is_ready();
            if self.requests.is_withheld {
                self.aside.has_parted.store(true, Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ended {
            // A second shutdown fails if the client has closed, too.
            return Poll::Ready(Ok(()));
        }
        RelayEnd::poll_shutdown(&self.socket.stream, cx)
    }
}

/// The interval of checks on the client; it is abandoned at the second one that finds it quiet.
const QUIET: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_half_closed_client_is_abandoned_when_nothing_is_written() {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        let socket = HttpSocket::new(server.into());
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, socket.abandoned()).await.is_err(), "it may still send a request");
        client.shutdown().await.expect("open");
        let start = Instant::now();
        socket.abandoned().await;
        assert_eq!(start.elapsed(), 2 * QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_receives_data_is_not_abandoned() {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        client.shutdown().await.expect("open");
        let socket = Arc::new(HttpSocket::new(server.into()));
        let mut stream = HttpStream::new(socket.clone(), Arc::default(), b"");
        let talk = async {
            for _ in 0..100 {
                stream.write_all(b"x").await.expect("room");
                sleep(QUIET).await;
            }
        };
        tokio::select! {
            () = talk => {}
            () = socket.abandoned() => panic!("abandoned"),
        }
    }
}
