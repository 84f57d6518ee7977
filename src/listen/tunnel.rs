//! A connection that has become a tunnel.

use bytes::Bytes;

use super::stream::ClientStream;

/// A client that has been told that its channel is there, and the channel.
#[derive(Debug)]
pub(crate) struct Tunnel<C> {
    pub(crate) client: ClientStream,
    /// What the client sent along with its request.
    pub(crate) early: Bytes,
    pub(crate) channel: C,
}
