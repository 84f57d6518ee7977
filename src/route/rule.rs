//! One rule.

use std::net::IpAddr;
use std::sync::Arc;

use super::conditions::{Conditions, Judgement};
use super::decision::Action;
use super::query::Query;
use super::trace::{Tracer, Verdict};

/// One rule: a request for which the conditions hold is dealt with as the action says.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name that logs, refusals and explanations call it by: as configured, or else the place
    /// that it has among the rules.
    pub name: Arc<str>,
    /// When it matches.
    pub conditions: Conditions,
    /// What it says. [`Action::Direct`] comes without addresses.
    pub action: Action,
}

impl Rule {
    pub(super) fn judge<T: Tracer>(
        &self,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut T,
    ) -> Judgement {
        tracer.rule(&self.name);
        let judgement = self.conditions.judge(query, resolved, tracer);
        tracer.verdict(match judgement {
            Judgement::Matched { .. } => Verdict::Matched,
            Judgement::Passed => Verdict::Passed,
            Judgement::Resolve => Verdict::Resolve,
        });
        judgement
    }
}
