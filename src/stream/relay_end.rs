//! One end of a relay.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::ReadBuf;

/// A socket, a pipe or standard input and output, as one end of a relay: read and written concurrently through
/// a shared reference. "The client" is the peer of this end.
pub trait RelayEnd: Send + Sync {
    /// Appends received data to `buf`; 0 bytes mean EOF. The buffer is allocated only when there is something
    /// to read, so that an idle connection holds none.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes a part of `bufs`, and returns its length in bytes.
    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Makes dropping the connection a reset, whatever the cause: a lost session, a panic, the end of the
    /// process. This holds until [`poll_shutdown`](Self::poll_shutdown).
    fn reset_on_drop(&self);

    /// Sends EOF to the client.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Completes when the client has reset the connection.
    fn reset(&self) -> impl Future<Output = ()> + Send;

    /// Completes when the client has reset the connection, or is known to read no more.
    fn gone(&self) -> impl Future<Output = ()> + Send {
        self.reset()
    }

    /// Discards what the client sends, if that keeps the client from reading. Completes when the client is gone.
    fn discard(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Reads everything that the client still sends, and discards it.
pub(crate) async fn drain(client: &impl RelayEnd) {
    let mut buffer = BytesMut::new();
    while let Ok(1..) = poll_fn(|cx| client.poll_read(cx, &mut buffer)).await {
        buffer.clear();
    }
}

/// Appends to `buf` what `read` reads. An empty buffer is released if there is nothing to read.
pub(crate) fn append(
    buf: &mut BytesMut,
    read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    let start = buf.len();
    buf.resize(start + READ_SIZE, 0);
    let mut chunk = ReadBuf::new(&mut buf[start..]);
    let polled = read(&mut chunk);
    let count = chunk.filled().len();
    if polled.is_pending() && start == 0 {
        *buf = BytesMut::new();
    } else {
        buf.truncate(start + count);
    }
    polled.map_ok(|()| count)
}

/// The maximum size of one read in bytes.
pub(crate) const READ_SIZE: usize = 64 * 1024;
