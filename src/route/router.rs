//! The rules and their evaluation.

use std::net::IpAddr;
use std::sync::Arc;

use super::conditions::Evaluation;
use super::decision::{Action, Decision, Outcome, Select, Via};
use super::explanation::Explanation;
use super::query::Query;
use super::rule::Rule;
use super::trace::Tracer;
use crate::destination::Host;

/// All rules and the default. Immutable: a reload builds a new one. Clones share the rules.
#[derive(Clone, Debug)]
pub struct Router {
    rules: Arc<[Rule]>,
    default: Action,
}

impl Router {
    /// A router whose first matching rule decides; `default` is the action for a request that no rule matches.
    pub fn new(rules: Vec<Rule>, default: Action) -> Self {
        Self { rules: rules.into(), default }
    }

    /// A router that sends everything over one server, as for a command line with a host.
    pub fn via_one(server: Arc<str>) -> Self {
        let via = Via { servers: vec![server], select: Select::default() };
        Self::new(Vec::new(), Action::Via(Arc::new(via)))
    }

    /// The same rules, shared, with another default.
    #[must_use]
    pub fn with_default(&self, default: Action) -> Self {
        Self { rules: Arc::clone(&self.rules), default }
    }

    /// Decides a request. `resolved` contains the addresses found by a look-up on this side; none if there was
    /// none. After a look-up, a direct request goes to these addresses.
    pub fn decide(&self, query: &Query<'_>, resolved: Option<&[IpAddr]>) -> Outcome {
        self.walk(query, resolved, &mut Tracer::default())
    }

    /// Decides a request and records why, by the same evaluation as [`Self::decide`].
    pub fn explain(&self, query: &Query<'_>, resolved: Option<&[IpAddr]>) -> Explanation {
        let mut tracer = Tracer::recording();
        let outcome = self.walk(query, resolved, &mut tracer);
        Explanation::new(query, resolved, outcome, tracer.into_steps())
    }

    /// Whether there are rules besides the default.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The action for a request that no rule matches.
    pub fn default(&self) -> &Action {
        &self.default
    }

    fn walk(&self, query: &Query<'_>, resolved: Option<&[IpAddr]>, tracer: &mut Tracer) -> Outcome {
        let looked_up = match query.host {
            Some(Host::Name(_)) => resolved,
            Some(Host::Ip(_)) | None => None,
        };
        for rule in &*self.rules {
            let action = match rule.evaluate(query, resolved, tracer) {
                Evaluation::Passed => continue,
                Evaluation::Resolve => return Outcome::Resolve,
                Evaluation::Matched { addresses } => {
                    with_addresses(&rule.action, addresses, looked_up)
                }
            };
            return Outcome::Decided(Decision { rule: Some(Arc::clone(&rule.name)), action });
        }
        let action = with_addresses(&self.default, None, looked_up);
        Outcome::Decided(Decision { rule: None, action })
    }
}

/// The action with the addresses that may be connected to: those that the rule matched, or else all resolved
/// ones that no rule has rejected. A second look-up might return other addresses, which no rule has evaluated.
fn with_addresses(
    action: &Action,
    matched: Option<Vec<IpAddr>>,
    looked_up: Option<&[IpAddr]>,
) -> Action {
    match action {
        Action::Direct { .. } => {
            let all = || looked_up.map(|all| all.iter().map(IpAddr::to_canonical).collect());
            Action::Direct { addresses: matched.or_else(all) }
        }
        other @ (Action::Via(_) | Action::Reject) => other.clone(),
    }
}
