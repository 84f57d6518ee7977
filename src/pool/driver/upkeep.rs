//! What is done to the sessions that are there: some are probed, some retired, some closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::{Driver, Prospect, lock};
use crate::ssh::trust::auth::LoginKind;

impl Driver {
    /// From now on the sessions end by themselves.
    pub(super) fn retire(&mut self) {
        self.is_retired = true;
        self.attempts.abort_all();
        self.first = None;
        for session in lock(&self.shared.sessions).iter() {
            session.drain();
        }
        self.without_session("the server is not configured any more".to_owned(), Prospect::Bad);
        self.upkeep();
    }

    /// After a sleep, or a change of the network.
    pub(super) fn probe_all(&self) {
        info!("the machine was asleep or the network has changed: checking every session");
        self.shared.connector.moved();
        lock(&self.shared.sessions).iter().for_each(|session| session.request_probe());
    }

    /// Retires what is old, and closes what is empty and not needed.
    pub(super) fn upkeep(&mut self) {
        let sessions = lock(&self.shared.sessions).clone();
        let mut ready = self.ready();
        for session in &sessions {
            let worn = self.shared.connector.would_replace(session)
                && self.login_kind == Some(LoginKind::Unattended);
            if worn && session.is_ready() && ready > self.size().min() {
                debug!("a session is replaced by a newer one: it takes no more channels");
                session.drain();
                ready -= 1;
            } else if worn && session.is_ready() {
                // Not before there is another one in its place.
                self.replace();
            } else if session.is_ready() && ready > self.size().min() && session.idle() >= IDLE {
                debug!("closing a session that nobody needs");
                session.drain();
                ready -= 1;
            }
            if session.is_draining() && session.is_empty() {
                let session = Arc::clone(session);
                tokio::spawn(async move { session.disconnect().await });
            }
        }
    }

    fn replace(&mut self) {
        if self.attempts.is_empty() && Instant::now() >= self.growth_not_before {
            self.attempt();
        }
    }
}

/// A session above the minimum that has been empty for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
