//! What a listener hands its clients to.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::stream::ClientStream;
use crate::request::Source;

/// Serves the clients of a listener: a proxy, or a forward.
pub trait Handler: Send + Sync + 'static {
    /// Serves one client until its connection is over. After `shutdown` it comes to an end that loses
    /// nothing. Dropping the future ends it where it is.
    fn serve(
        self: Arc<Self>,
        accepted: Accepted,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Ends the client that is least worth its descriptor: others cannot be accepted for want of one.
    fn make_room(&self);
}

/// A client's connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: ClientStream,
    /// Where it comes from.
    pub source: Source,
    /// The listener it came in by, as the rules and the log name it.
    pub listener: Arc<str>,
}
