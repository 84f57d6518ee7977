//! The way through other servers, as a connector sees it.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::ConnectError;
use crate::openssh::Jump;
use crate::stream::ByteStream;
use crate::target::Target;

/// The servers on the way (`ProxyJump`).
pub(crate) trait Hops: fmt::Debug + Send + Sync {
    /// A stream to `next` through the servers of `jump`, which may take `limit` once the last of them
    /// has a session.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the stream is not opened; sessions to the servers on the way stay.
    fn open<'a>(&'a self, jump: &'a Jump, next: &'a Target, limit: Duration) -> OpeningStream<'a>;
}

/// A stream that is being opened.
pub(crate) type OpeningStream<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn ByteStream>, ConnectError>> + Send + 'a>>;
