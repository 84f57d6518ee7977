//! A connection that has become a tunnel.

use bytes::Bytes;

use super::stream::ClientStream;

/// A client whose request was granted, and its channel.
#[derive(Debug)]
pub(crate) struct Tunnel<C> {
    pub(crate) client: ClientStream,
    /// Data that the client sent along with its request.
    pub(crate) early: Bytes,
    pub(crate) channel: C,
}
