//! One rule.

use std::net::IpAddr;
use std::sync::Arc;

use super::conditions::{Conditions, Evaluation};
use super::decision::Action;
use super::query::Query;
use super::trace::{Tracer, Verdict};

/// A rule, whose action applies to requests for which its conditions hold.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in logs, refusals and explanations: the configured one, or else its number.
    pub name: Arc<str>,
    /// When it matches.
    pub conditions: Conditions,
    /// The action. [`Action::Direct`] has no addresses here.
    pub action: Action,
}

impl Rule {
    pub(super) fn evaluate(
        &self,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut Tracer,
    ) -> Evaluation {
        tracer.rule(&self.name);
        let evaluation = self.conditions.evaluate(query, resolved, tracer);
        tracer.verdict(match evaluation {
            Evaluation::Matched { .. } => Verdict::Matched,
            Evaluation::Passed => Verdict::Passed,
            Evaluation::Resolve => Verdict::Resolve,
        });
        evaluation
    }
}
