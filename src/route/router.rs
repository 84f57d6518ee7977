//! The rules, ready to be asked.

use std::net::IpAddr;
use std::sync::Arc;

use super::conditions::Judgement;
use super::decision::{Action, Decision, Outcome, Select, Via};
use super::explanation::Explanation;
use super::query::Query;
use super::rule::Rule;
use super::trace::{Blind, Recorder, Tracer};
use crate::destination::Host;

/// All rules and the default. Immutable: a reload makes a new one. A clone shares the rules.
#[derive(Clone, Debug)]
pub struct Router {
    rules: Arc<[Rule]>,
    default: Action,
}

impl Router {
    /// The rules in their order, of which the first that matches decides, and what becomes of a
    /// request that none of them matches.
    pub fn new(rules: Vec<Rule>, default: Action) -> Self {
        Self { rules: rules.into(), default }
    }

    /// Everything goes over one server: what a command line with a host asks for.
    pub fn via_one(server: Arc<str>) -> Self {
        let via = Via { servers: vec![server], select: Select::default() };
        Self::new(Vec::new(), Action::Via(Arc::new(via)))
    }

    /// The same rules, shared, with another default.
    #[must_use]
    pub fn with_default(&self, default: Action) -> Self {
        Self { rules: Arc::clone(&self.rules), default }
    }

    /// What becomes of a request. `resolved` is what a look-up on this side has found; none where
    /// there was no look-up yet. Where there was one, what goes direct goes to what it found.
    pub fn decide(&self, query: &Query<'_>, resolved: Option<&[IpAddr]>) -> Outcome {
        self.walk(query, resolved, &mut Blind)
    }

    /// What becomes of a request, and why: the same walk over the rules as [`Self::decide`], written
    /// down.
    pub fn explain(&self, query: &Query<'_>, resolved: Option<&[IpAddr]>) -> Explanation {
        let mut recorder = Recorder::default();
        let outcome = self.walk(query, resolved, &mut recorder);
        Explanation::new(query, resolved, outcome, recorder.steps)
    }

    /// Whether there is anything but the default.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn default(&self) -> &Action {
        &self.default
    }

    fn walk<T: Tracer>(
        &self,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut T,
    ) -> Outcome {
        let looked_up = match query.host {
            Some(Host::Name(_)) => resolved,
            Some(Host::Ip(_)) | None => None,
        };
        for rule in &*self.rules {
            let action = match rule.judge(query, resolved, tracer) {
                Judgement::Passed => continue,
                Judgement::Resolve => return Outcome::Resolve,
                Judgement::Matched { addresses } => judged(&rule.action, addresses, looked_up),
            };
            return Outcome::Decided(Decision { rule: Some(Arc::clone(&rule.name)), action });
        }
        let action = judged(&self.default, None, looked_up);
        Outcome::Decided(Decision { rule: None, action })
    }
}

/// The action with the addresses that may be connected to: those that the rule has matched, or else
/// all that were looked up and that no rule has held against the request. A second look-up could
/// find others, which nobody has judged.
fn judged(action: &Action, matched: Option<Vec<IpAddr>>, looked_up: Option<&[IpAddr]>) -> Action {
    match action {
        Action::Direct { .. } => {
            let all = || looked_up.map(|all| all.iter().map(IpAddr::to_canonical).collect());
            Action::Direct { addresses: matched.or_else(all) }
        }
        other @ (Action::Via(_) | Action::Reject) => other.clone(),
    }
}
