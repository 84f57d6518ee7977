//! The rules, ready to be asked.

use std::net::IpAddr;
use std::sync::Arc;

use super::conditions::Judgement;
use super::decision::{Action, Decision, Outcome, Select, Via};
use super::explanation::Explanation;
use super::query::Query;
use super::rule::Rule;
use super::trace::{Blind, Recorder, Tracer};

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
    /// there was no look-up yet.
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
        for rule in &*self.rules {
            let action = match rule.judge(query, resolved, tracer) {
                Judgement::Passed => continue,
                Judgement::Resolve => return Outcome::Resolve,
                Judgement::Matched { addresses } => match &rule.action {
                    Action::Direct { .. } => Action::Direct { addresses },
                    other => other.clone(),
                },
            };
            return Outcome::Decided(Decision { rule: Some(Arc::clone(&rule.name)), action });
        }
        Outcome::Decided(Decision { rule: None, action: self.default.clone() })
    }
}
