//! What a server may send before its identification (RFC 4253 section 4.2): notices, or the output of a wrapper
//! in front of it. russh accepts 20 lines of 255 bytes; `ssh` accepts 1024 of 8 kB.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use crate::printable::{Lines, printable};
use crate::ssh::session::Traffic;

/// Skips what a server sends before its identification.
pub(super) struct SkipToVersion<S> {
    stream: S,
    state: State,
    traffic: Arc<Traffic>,
}

enum State {
    /// Before the identification: the incomplete line, and the number of lines before it.
    Before { line: Vec<u8>, lines: usize },
    /// Bytes that were read but not returned yet: the identification and what follows, or an excess of text.
    Read { bytes: Vec<u8>, at: usize },
    /// All further reads pass through.
    Through,
}

impl<S> SkipToVersion<S> {
    /// Wraps an unread stream. `traffic` receives the identification.
    pub(super) fn new(stream: S, traffic: &Arc<Traffic>) -> Self {
        let state = State::Before { line: Vec::new(), lines: 0 };
        Self { stream, state, traffic: Arc::clone(traffic) }
    }
}

impl State {
    /// Adds bytes that were read, and drops all lines before the identification.
    fn push(&mut self, bytes: &[u8], traffic: &Traffic) {
        let Self::Before { line, lines } = self else { return };
        line.extend_from_slice(bytes);
        let mut is_too_much = false;
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            if line.starts_with(b"SSH-") {
                traffic.set_head(&line[..=end]);
                *self = Self::Read { bytes: std::mem::take(line), at: 0 };
                return;
            }
            let said = String::from_utf8_lossy(&line[..end]);
            debug!(said = %printable(said.trim_end(), SHOWN, Lines::One), "before the identification");
            line.drain(..=end);
            *lines += 1;
            if *lines > MAX_LINES || end > MAX_LINE {
                is_too_much = true;
                break;
            }
        }
        // If there is more than `ssh` would accept, russh is made to reject it.
        if is_too_much || line.len() > MAX_LINE {
            *self = Self::Read { bytes: vec![b'\n'; 1024], at: 0 };
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SkipToVersion<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Through => return Pin::new(&mut this.stream).poll_read(cx, buf),
                State::Read { bytes, at } => {
                    let count = buf.remaining().min(bytes.len() - *at);
                    buf.put_slice(&bytes[*at..*at + count]);
                    *at += count;
                    if *at == bytes.len() {
                        this.state = State::Through;
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Before { .. } => {
                    let mut chunk = [0; 1024];
                    let mut chunk = ReadBuf::new(&mut chunk);
                    ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk))?;
                    if chunk.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    this.state.push(chunk.filled(), &this.traffic);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SkipToVersion<S> {
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

/// OpenSSH's `SSH_MAX_PRE_BANNER_LINES`.
const MAX_LINES: usize = 1024;
/// OpenSSH's `SSH_MAX_BANNER_LEN`, in bytes.
const MAX_LINE: usize = 8192;
/// The characters shown of a line.
const SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let traffic = Arc::default();
        let mut seen = Vec::new();
        let mut stream = SkipToVersion::new(bytes, &traffic);
        stream.read_to_end(&mut seen).await.expect("memory");
        (seen, traffic.head())
    }

    #[tokio::test]
    async fn lines_before_the_identification_are_dropped_within_bounds() {
        let version = b"SSH-2.0-x\r\nand\nSSH-more";
        for before in
            ["", "\r\n", &"x".repeat(8000), &"notice\r\n".repeat(1023), "SSH", " SSH-2.0-y"]
        {
            let (seen, head) = read(&[before.as_bytes(), b"\n", version].concat()).await;
            assert_eq!(seen, version, "{before:.20}");
            assert_eq!(head, b"SSH-2.0-x\r\n");
        }
        assert_eq!(read(version).await.0, version);
    }

    #[tokio::test]
    async fn an_excess_of_text_is_rejected_by_russh() {
        for before in ["y".repeat(20_000), "notice\n".repeat(1100)] {
            let (seen, head) = read(&[before.as_bytes(), b"\nSSH-2.0-x\r\n"].concat()).await;
            assert!(seen.starts_with(&[b'\n'; 1024]), "{before:.20}");
            assert!(head.is_empty(), "the transport below records it");
        }
        assert!(read(b"HTTP/1.0 400 Bad Request\r\n\r\n").await.0.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_lost_however_reads_are_split() {
        let whole = b"a line\r\nSSH-2.0-x\r\nthe rest";
        for cut in 1..whole.len() {
            let (first, second) = whole.split_at(cut);
            let mut seen = Vec::new();
            let mut stream = SkipToVersion::new(first.chain(second), &Arc::default());
            stream.read_to_end(&mut seen).await.expect("memory");
            assert_eq!(seen, b"SSH-2.0-x\r\nthe rest", "{cut}");
        }
    }
}
