//! Jump hosts, as used by a connector.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Asking, ConnectError};
use crate::openssh::Jump;
use crate::stream::ByteStream;
use crate::target::Target;

/// The jump hosts on the way (`ProxyJump`).
pub(crate) trait Hops: fmt::Debug + Send + Sync {
    /// Connects to `next` through the servers of `jump`, within `limit` once the last of them has a session.
    /// `asking` also decides whether a person may be asked at the jump hosts.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the stream is not opened; sessions to the jump hosts remain.
    fn open<'a>(
        &'a self,
        jump: &'a Jump,
        next: &'a Target,
        limit: Duration,
        asking: Asking,
    ) -> OpeningHop<'a>;
}

/// A connection from the last jump host to the server.
pub(crate) struct Hop {
    pub(crate) stream: Box<dyn ByteStream>,
    /// How long it took on an existing session.
    pub(crate) took: Duration,
}

/// A pending connection through jump hosts.
pub(crate) type OpeningHop<'a> = BoxFuture<'a, Result<Hop, ConnectError>>;
