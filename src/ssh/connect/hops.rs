//! The way through other servers, as a connector sees it.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Asking, ConnectError};
use crate::openssh::Jump;
use crate::stream::ByteStream;
use crate::target::Target;

/// The servers on the way (`ProxyJump`).
pub(crate) trait Hops: fmt::Debug + Send + Sync {
    /// Connects to `next` through the servers of `jump`, which may take `limit` once the last of them
    /// has a session. Whether a person may be asked at one of them is as for the server itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, the stream is not opened; sessions to the servers on the way stay.
    fn open<'a>(
        &'a self,
        jump: &'a Jump,
        next: &'a Target,
        limit: Duration,
        asking: Asking,
    ) -> OpeningHop<'a>;
}

/// A connection from the last of them to the server.
pub(crate) struct Hop {
    pub(crate) stream: Box<dyn ByteStream>,
    /// How long it took, on a session that was there.
    pub(crate) took: Duration,
}

/// One that is being opened.
pub(crate) type OpeningHop<'a> = BoxFuture<'a, Result<Hop, ConnectError>>;
