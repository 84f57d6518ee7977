//! The interface to which a listener passes its clients.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::stream::ClientStream;
use crate::request::Source;

/// Serves the clients of a listener: a proxy, or a forward.
pub trait Handler: Send + Sync + 'static {
    /// Serves one client until its connection has ended. After `shutdown`, ends without losing data. Dropping
    /// the future ends the connection immediately.
    fn serve(
        self: Arc<Self>,
        accepted: Accepted,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Ends the client that is least worth its descriptor, since others cannot be accepted without one. By default
    /// none: each is worth as much as another.
    fn make_room(&self) {}
}

/// An accepted client connection.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: ClientStream,
    /// The address of the client.
    pub source: Source,
    /// The listener that accepted it, as named in rules and logs.
    pub listener: Arc<str>,
}
