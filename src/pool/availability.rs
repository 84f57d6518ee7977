//! The state of a pool that `dial` compares when it chooses between servers.

use std::time::Duration;

use super::policy::Outlook;
use super::{Pool, lock};

/// How soon a server can carry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Availability {
    /// At once: it has a session that takes channels.
    Ready,
    /// Soon, perhaps: it has no session yet.
    Pending,
    /// Not for now: it has no session, and the last attempt failed or none may be made.
    Down,
}

/// The load of all sessions to a server, ordered by active channels first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolLoad {
    /// Channels that moved data recently, or that are being opened.
    pub active: usize,
    /// All channels.
    pub channels: usize,
}

impl Pool {
    /// How soon it can carry a request.
    pub fn availability(&self) -> Availability {
        let ready = lock(&self.0.sessions).iter().any(|session| session.is_ready());
        match (ready, lock(&self.0.status).outlook) {
            (true, _) => Availability::Ready,
            (false, Outlook::Soon | Outlook::NeedsPerson) => Availability::Pending,
            (false, Outlook::Hopeless) => Availability::Down,
        }
    }

    /// Completes when the availability may have changed since the call.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send {
        self.0.changed.notified()
    }

    /// The shortest of the sessions' latest round trips; none before the first measurement.
    pub fn round_trip(&self) -> Option<Duration> {
        let sessions = lock(&self.0.sessions);
        sessions.iter().filter(|s| s.is_ready()).filter_map(|s| s.health().delay().last()).min()
    }

    /// The load of its sessions.
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
