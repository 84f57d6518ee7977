//! The rates of sessions: the bytes of the last second.

use std::collections::HashMap;
use std::sync::Mutex;

use super::schema::Traffic;
use crate::lock::lock;
use crate::pool::SessionView;

/// The traffic of the sessions at the last beat.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<u64, Traffic>>);

impl Rates {
    /// Ends an interval of one second.
    pub(super) fn beat<'a>(&self, sessions: impl Iterator<Item = &'a SessionView>) {
        let mut rates = lock(&self.0);
        let now = sessions.map(|session| {
            let SessionView { id, sent: up, received: down, .. } = *session;
            let before = rates.get(&id).copied().unwrap_or_default();
            let (up_rate, down_rate) =
                (up.saturating_sub(before.up), down.saturating_sub(before.down));
            (id, Traffic { up, down, up_rate, down_rate })
        });
        *rates = now.collect();
    }

    /// The traffic of a session, with its rates per second.
    pub(super) fn of(&self, session: &SessionView) -> Traffic {
        let rates = lock(&self.0);
        let rate = rates.get(&session.id).copied().unwrap_or_default();
        Traffic { up: session.sent, down: session.received, ..rate }
    }
}
