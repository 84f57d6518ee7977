//! The record of a server's pool: attempts to connect, and sessions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use super::event::{Event, Events};
use super::tally::{ServerTally, Tallies};

/// The handle to which a server's pool writes. By default, nothing reads it.
#[derive(Clone, Debug)]
pub struct ServerLog {
    server: Arc<str>,
    tally: Arc<ServerTally>,
    events: Events,
}

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum AttemptEnd {
    /// It resulted in a session.
    Ready,
    /// The server is unreachable, or ended the connection.
    Unreachable,
    /// The server, its host key or the login was refused.
    Refused,
}

/// The kind of a session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum SessionEnd {
    /// It was lost, and its channels were cut.
    Lost,
    /// It was retired, or closed because it was not needed.
    Retired,
}

impl ServerLog {
    pub(super) fn new(server: &Arc<str>, tallies: &Tallies, events: Events) -> Self {
        Self { server: Arc::clone(server), tally: tallies.servers.of(server), events }
    }

    /// Records a session; `took` is from the first packet to the login.
    pub(crate) fn session_up(&self, session: u64, took: Duration) {
        self.tally.attempts[AttemptEnd::Ready as usize].fetch_add(1, Relaxed);
        self.tally.login.observe(took);
        self.events.tell(|| Event::SessionUp { server: Arc::clone(&self.server), session });
    }

    /// Records a failed attempt; `reason` is printable.
    pub(crate) fn attempt_failed(&self, end: AttemptEnd, reason: &str) {
        self.tally.attempts[end as usize].fetch_add(1, Relaxed);
        self.events.tell(|| Event::AttemptFailed {
            server: Arc::clone(&self.server),
            reason: reason.into(),
        });
    }

    /// Records the end of a session; `reason` is printable.
    pub(crate) fn session_down(&self, session: u64, end: SessionEnd, reason: &str) {
        self.tally.ended[end as usize].fetch_add(1, Relaxed);
        self.events.tell(|| Event::SessionDown {
            server: Arc::clone(&self.server),
            session,
            end,
            reason: reason.into(),
        });
    }
}

impl Default for ServerLog {
    fn default() -> Self {
        Self { server: "".into(), tally: Arc::default(), events: Events::default() }
    }
}
