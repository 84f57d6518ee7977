//! The upkeep of existing sessions: which of them are drained, replaced and closed.

use std::time::Duration;

use super::{Action, DrainReason, Facts, Outage, Outlook, Policy, SessionFacts};
use crate::ssh::trust::auth::LoginKind;

impl Policy {
    /// Drains all sessions and aborts all attempts.
    pub(super) fn retire(&mut self, facts: &Facts) -> Vec<Action> {
        self.is_retired = true;
        self.first_has_ended = true;
        let reason = "the server is not configured any more".to_owned();
        let mut actions = vec![Action::AbortAttempts];
        for (place, session) in facts.sessions.iter().enumerate() {
            actions.push(Action::Drain(place, DrainReason::Retired));
            if session.is_empty {
                actions.push(Action::Close(place));
            }
        }
        actions.push(Action::Show(Outage::happened(reason, Outlook::Hopeless)));
        actions
    }

    /// Replaces outdated sessions, closes surplus ones, and keeps a quiet one in reserve: if every session were
    /// in use, the next request would have to share one.
    pub(super) fn upkeep(&mut self, facts: &Facts) -> Vec<Action> {
        let mut actions = Vec::new();
        let (mut ready, mut quiet) = (facts.ready(), facts.quiet());
        let may_login = self.login_kind == Some(LoginKind::Unattended);
        let is_flooded = |session: &SessionFacts| session.is_flooded && session.is_empty;
        let is_outdated =
            |session: &SessionFacts| may_login && (session.is_outdated || is_flooded(session));
        // A replacement was opened, but nothing needs to be replaced any more.
        let is_in_vain = !facts.sessions.iter().any(|it| it.is_ready && is_outdated(it));
        for (place, session) in facts.sessions.iter().enumerate() {
            let is_ready = session.is_ready;
            let (is_flooded, is_outdated) = (is_flooded(session), is_outdated(session));
            // A flooded session is drained even at the minimum if there is another.
            let is_spare = ready > self.size().min() || (is_flooded && ready > 1);
            let is_replaced = is_outdated || (is_in_vain && ready > self.size().max());
            // The last quiet session is the reserve.
            let is_surplus = session.idle >= IDLE && quiet > usize::from(session.is_quiet);
            let drain = is_ready && is_spare && (is_replaced || is_flooded || is_surplus);
            if drain {
                let reason = match (is_flooded, is_replaced) {
                    (true, _) => DrainReason::Flooded,
                    (false, true) => DrainReason::Replaced,
                    (false, false) => DrainReason::Idle,
                };
                actions.push(Action::Drain(place, reason));
                ready -= 1;
                quiet -= usize::from(session.is_quiet);
            } else if is_outdated
                && is_ready
                && self.attempts == 0
                && facts.now >= self.growth_not_before
            {
                // The session is drained once its replacement is ready.
                actions.push(self.attempt(facts));
            }
            if session.is_empty && (drain || !is_ready) {
                actions.push(Action::Close(place));
            }
        }
        if quiet == 0 && !self.closes_unused() {
            actions.extend(self.grow(facts));
        }
        actions
    }
}

/// How long a session above the minimum may be empty before it is closed, unless it is the reserve.
const IDLE: Duration = Duration::from_secs(60);
