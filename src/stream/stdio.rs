//! Standard input and output as the client of a relay (`-W`).

use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, Stdin, stdin};

use crate::lock::lock;
use crate::stream::{RelayEnd, append};

/// Standard input and output, which nothing else may use meanwhile.
#[derive(Debug)]
pub(crate) struct Stdio {
    // One task reads and writes, so that the locks are never contended.
    input: Mutex<Stdin>,
    // Not the standard library's handle, which is line-buffered. None after EOF.
    output: Mutex<Option<File>>,
}

impl Stdio {
    /// Takes over both streams.
    pub(crate) fn new() -> Self {
        let output = io::stdout().as_fd().try_clone_to_owned().ok();
        let output = output.map(|output| File::from_std(std::fs::File::from(output)));
        Self { input: Mutex::new(stdin()), output: Mutex::new(output) }
    }
}

impl RelayEnd for Stdio {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        append(buf, |read| Pin::new(&mut *lock(&self.input)).poll_read(cx, read))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut output = lock(&self.output);
        let Some(output) = output.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        // Accepted bytes are being written by a blocking thread; the next write waits for them.
        Pin::new(output).poll_write(cx, first)
    }

    fn reset_on_drop(&self) {
        // A pipe cannot be reset. The exit status distinguishes a cut from EOF.
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut output = lock(&self.output);
        let Some(file) = output.as_mut() else { return Poll::Ready(Ok(())) };
        let flushed = ready!(Pin::new(file).poll_flush(cx));
        *output = None;
        Poll::Ready(flushed.and_then(|()| close_output()))
    }

    async fn reset(&self) {
        // As with ssh, only the next write notices that the reader is gone.
        std::future::pending::<()>().await;
    }
}

/// Sends EOF to the reader of the output, while the input may continue. The descriptor stays occupied, so that
/// nothing else becomes standard output.
fn close_output() -> io::Result<()> {
    let nothing = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nothing)?)
}
