//! What the pool of one server tells: attempts, and sessions that came and went.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use super::event::{Event, Events};
use super::tally::{ServerTally, Tallies};

/// What the pool of one server writes to. By default nobody reads it.
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
    /// There is a session.
    Ready,
    /// The server cannot be reached, or ended the connection.
    Unreachable,
    /// The server, its host key or the login was the obstacle.
    Refused,
}

/// Of which kind the end of a session was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum SessionEnd {
    /// It was lost: what it carried was cut.
    Lost,
    /// It was retired, or closed as not needed.
    Retired,
}

impl ServerLog {
    pub(super) fn new(server: &Arc<str>, tallies: &Tallies, events: Events) -> Self {
        Self { server: Arc::clone(server), tally: tallies.servers.of(server), events }
    }

    /// A session is ready, which took so long from the first packet to the login.
    pub(crate) fn session_up(&self, session: u64, took: Duration) {
        self.tally.attempts[AttemptEnd::Ready as usize].fetch_add(1, Relaxed);
        self.tally.login.observe(took);
        self.events.tell(|| Event::SessionUp { server: Arc::clone(&self.server), session });
    }

    /// An attempt has failed; `reason` is printable.
    pub(crate) fn attempt_failed(&self, end: AttemptEnd, reason: &str) {
        self.tally.attempts[end as usize].fetch_add(1, Relaxed);
        self.events.tell(|| Event::AttemptFailed {
            server: Arc::clone(&self.server),
            reason: reason.into(),
        });
    }

    /// A session has ended; `reason` is printable.
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
