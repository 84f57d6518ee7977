//! What a choice between several servers looks at.

use std::time::Duration;

use super::{Pool, lock};

/// How soon a server can carry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// At once: it has a session that takes channels.
    Ready,
    /// It has none, and one may be had soon.
    Pending,
    /// It has none, and the last attempt to get one failed, or nobody may make one.
    Down,
}

/// What the sessions to a server carry together. The fewer the better, first of all those that move
/// something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolLoad {
    /// Channels that moved anything lately, or that are being opened.
    pub active: usize,
    /// All channels.
    pub channels: usize,
}

impl Pool {
    /// How soon it can carry a request.
    pub fn availability(&self) -> Availability {
        let ready = lock(&self.0.sessions).iter().any(|session| session.is_ready());
        match (ready, lock(&self.0.status).down) {
            (true, _) => Availability::Ready,
            (false, false) => Availability::Pending,
            (false, true) => Availability::Down,
        }
    }

    /// Completes when its standing may have changed since this was called.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send {
        self.0.changed.notified()
    }

    /// The shortest of the last round trips to the server, one of each session; none before the
    /// first was measured.
    pub fn round_trip(&self) -> Option<Duration> {
        let sessions = lock(&self.0.sessions);
        sessions.iter().filter(|s| s.is_ready()).filter_map(|s| s.health().delay().last()).min()
    }

    /// What its sessions carry.
    pub fn load(&self) -> PoolLoad {
        let sessions = lock(&self.0.sessions);
        sessions.iter().fold(PoolLoad::default(), |sum, session| {
            let load = session.load();
            PoolLoad {
                active: sum.active + load.active() + load.opening(),
                channels: sum.channels + load.channels(),
            }
        })
    }
}
