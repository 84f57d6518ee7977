//! One end of a relay.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;

/// A socket, a pipe or standard input and output between which a relay carries bytes: read and written at the same
/// time by shared reference. "The client" is whoever is at the other side of it.
pub trait RelayEnd: Send + Sync {
    /// Appends what has arrived to `buf`, 0 bytes at the end of the stream. Room is reserved only when
    /// there is something to read: an idle connection holds no buffer.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes a part of `bufs` and returns its length in bytes.
    fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Makes dropping the connection a reset, whatever the reason: a lost session, a panic, the end of
    /// the process. It holds until [`poll_shutdown`](Self::poll_shutdown).
    fn reset_on_drop(&self);

    /// Ends the direction to the client cleanly.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Completes when the client has reset the connection.
    fn reset(&self) -> impl Future<Output = ()> + Send;

    /// Completes when the client has reset the connection, or is known to read no more.
    fn gone(&self) -> impl Future<Output = ()> + Send {
        self.reset()
    }

    /// Discards what a client sends that would hold back what is for it until that is taken. Completes when it is gone.
    fn discard(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// The size of one read at most, in bytes.
pub(crate) const READ_SIZE: usize = 64 * 1024;
