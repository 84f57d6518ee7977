//! The web server's stream, used by hyper.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::{Method, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use super::aside::Aside;
use super::slot::Slot;
use super::wire::answer::BadAnswer;
use super::wire::answers::{Answers, Step};

/// The stream that hyper reads and writes: heads of responses are parsed and rewritten.
#[derive(Debug)]
pub(crate) struct ServerStream<S> {
    stream: S,
    link: Arc<Link>,
    answers: Answers,
    /// The request line that is being written instead of hyper's.
    line: Option<RequestLine>,
    /// Whether the server reads no more. Its response may still arrive.
    has_stopped_reading: bool,
}

/// The state that bypasses hyper, between the stream and the sender of a request.
#[derive(Debug, Default)]
pub(crate) struct Link {
    client: Arc<Aside>,
    /// The method of a request whose response has not begun.
    expecting: Slot<Method>,
    /// Whether the client of the request understands interim responses.
    tells_interim: AtomicBool,
    line: Slot<RequestLine>,
    /// Whether hyper has more to write.
    pub(crate) is_writing: AtomicBool,
    /// Why the response could not be forwarded.
    pub(crate) fault: Slot<BadAnswer>,
}

/// A request line with a target that hyper cannot write.
#[derive(Debug)]
pub(crate) struct RequestLine {
    /// The line that hyper writes.
    placeholder: Vec<u8>,
    /// The line that replaces it.
    line: Bytes,
}

impl RequestLine {
    /// The line for this target; hyper is given `/`.
    pub(crate) fn new(method: &Method, target: &[u8]) -> Self {
        let line = |target| [method.as_str().as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
        Self { placeholder: line(b"/"), line: line(target).into() }
    }
}

impl Link {
    pub(crate) fn new(client: Arc<Aside>) -> Self {
        Self { client, ..Self::default() }
    }

    /// Prepares for a request with this method, from a client of this version.
    pub(crate) fn begin(&self, method: &Method, client: Version, line: Option<RequestLine>) {
        self.tells_interim.store(client > Version::HTTP_10, Relaxed);
        if let Some(line) = line {
            self.line.put(line);
        }
        self.expecting.put(method.clone());
    }

    fn interim(&self, response: Bytes) {
        if self.tells_interim.load(Relaxed) {
            self.client.push_interim(response);
        }
    }
}

impl<S> ServerStream<S> {
    pub(crate) fn new(stream: S, link: Arc<Link>) -> Self {
        Self { stream, link, answers: Answers::default(), line: None, has_stopped_reading: false }
    }

    /// Handles a write error: a server that has answered may stop reading before the request is complete, which
    /// must not lose its response.
    fn stopped_reading(&mut self, error: &io::Error) {
        if !self.has_stopped_reading {
            debug!(%error, "the web server takes no more of the request");
            self.has_stopped_reading = true;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ServerStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(method) = this.link.expecting.take() {
            this.answers.expect(method);
        }
        loop {
            match this.answers.step(buf.remaining()) {
                Ok(Step::Bytes(bytes)) => {
                    buf.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Ok(Step::Interim(response)) => this.link.interim(response),
                Ok(Step::Through) => {
                    let before = buf.filled().len();
                    ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
                    let read = &mut buf.filled_mut()[before..];
                    let (has_ended, left) = (read.is_empty(), this.answers.pass(read));
                    buf.set_filled(before + left);
                    // An empty read would be taken for EOF.
                    if left > 0 || has_ended {
                        return Poll::Ready(Ok(()));
                    }
                }
                Ok(Step::NeedsHead) => {
                    let before = buf.filled().len();
                    ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
                    let read = &buf.filled()[before..];
                    if read.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    this.answers.input.extend_from_slice(read);
                    buf.set_filled(before);
                }
                Err(fault) => {
                    this.link.fault.put(fault);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> ServerStream<S> {
    /// Writes the request line that replaces hyper's; returns how much of hyper's it replaces.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(line) = &mut self.line else { return Poll::Ready(Ok(0)) };
        let length = line.placeholder.len();
        while !line.line.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &line.line))?;
            line.line.advance(written);
        }
        self.line = None;
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ServerStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.link.is_writing.store(true, Relaxed);
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if this.has_stopped_reading {
            return Poll::Ready(Ok(all));
        }
        if let Some(line) = this.link.line.take() {
            this.line = Some(line);
        }
        let written = if let Some(line) = &this.line {
            let head = bufs.iter().find(|buf| !buf.is_empty());
            if !head.is_some_and(|head| head.starts_with(&line.placeholder)) {
                // Another request's bytes would be sent under this line.
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            ready!(this.poll_line(cx))
        } else {
            ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))
        };
        Poll::Ready(Ok(written.unwrap_or_else(|error| {
            this.stopped_reading(&error);
            all
        })))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.link.is_writing.store(false, Relaxed);
        if !this.has_stopped_reading
            && let Err(error) = ready!(Pin::new(&mut this.stream).poll_flush(cx))
        {
            this.stopped_reading(&error);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
