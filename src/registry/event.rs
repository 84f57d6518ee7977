//! Events for subscribers.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::connection::Connection;
use super::forward::Forward;
use super::server_log::SessionEnd;

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request is complete.
    ConnectionOpened(Arc<Connection>),
    /// A connection has ended; it has its outcome.
    ConnectionClosed(Arc<Connection>),
    /// A session is ready.
    SessionUp {
        /// The server.
        server: Arc<str>,
        /// Its number.
        session: u64,
    },
    /// A session has ended.
    SessionDown {
        /// The server.
        server: Arc<str>,
        /// Its number.
        session: u64,
        /// The kind of end.
        end: SessionEnd,
        /// The reason; printable.
        reason: Arc<str>,
    },
    /// An attempt to connect to a server has failed.
    AttemptFailed {
        /// The server.
        server: Arc<str>,
        /// The reason; printable.
        reason: Arc<str>,
    },
    /// A listener or forward was added, has changed its state, or was removed.
    ForwardChanged(Arc<Forward>),
    /// A new configuration is in force, or was refused; described in words.
    Reloaded(Arc<str>),
}

/// Sends events to any number of subscribers. A subscriber that is too slow misses some, and is notified of that.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Events {
    /// Subscribes to all events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Sends an event if there are subscribers.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // The last subscriber may be gone by now.
            let _ = self.0.send(event());
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }
}

/// The number of events queued for a subscriber before it misses some.
const QUEUE: usize = 1024;
