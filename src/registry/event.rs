//! Events, sent to whoever subscribes.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::connection::Connection;
use super::forward::Forward;
use super::server_log::SessionEnd;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request is complete.
    ConnectionOpened(Arc<Connection>),
    /// A connection is over; how, it says itself.
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
        /// Of which kind the end was.
        end: SessionEnd,
        /// Why, in printable words.
        reason: Arc<str>,
    },
    /// An attempt to connect to a server has failed.
    AttemptFailed {
        /// The server.
        server: Arc<str>,
        /// Why, in printable words.
        reason: Arc<str>,
    },
    /// A listener or forward is there, stands elsewhere, or is gone.
    ForwardChanged(Arc<Forward>),
    /// Another configuration is in force, or one was refused: in words.
    Reloaded(Arc<str>),
}

/// Sends events to any number of subscribers. One that is too slow loses some, and is notified of that.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Events {
    /// From now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Tells it, where somebody listens.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // The last listener may have left since.
            let _ = self.0.send(event());
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }
}

/// How many events wait for a listener before it loses some.
const QUEUE: usize = 1024;
