//! How the requests of a listener are routed.

use std::net::IpAddr;

use crate::forward::PermitOpen;
use crate::route::{Action, Decision, Explanation, Otherwise, Outcome, Query, Router};
use crate::target::Target;

/// How a request is routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// By the rules and their default.
    Rules,
    /// By the rules; requests that match none go direct, whatever the default. Destinations that are not
    /// permitted are rejected first.
    RulesOrDirect(PermitOpen),
    /// By the fixed action of a forward.
    Fixed(Action),
}

impl Routing {
    /// Explains the decision on a request for `target`; `query` has its other properties. `resolved` is as in
    /// [`Router::explain`].
    pub fn explain(
        &self,
        router: &Router,
        target: &Target,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
    ) -> Explanation {
        let without_rules = |action| Router::new(Vec::new(), action).explain(query, None);
        match self {
            Self::Rules => router.explain(query, resolved),
            Self::RulesOrDirect(permit) if permit.admits(target) => {
                let direct = router.with_default(Action::Direct { addresses: None });
                direct.explain(query, resolved).otherwise(Otherwise::Direct)
            }
            Self::RulesOrDirect(_) => {
                let decision = Decision { rule: Some(PERMIT.into()), action: Action::Reject };
                let outcome = Outcome::Decided(decision);
                Explanation { outcome, ..without_rules(Action::Reject) }
            }
            Self::Fixed(action) => without_rules(action.clone()).otherwise(Otherwise::Forward),
        }
    }
}

/// The rule name shown for a request that `PermitRemoteOpen` does not permit.
pub(super) const PERMIT: &str = "PermitRemoteOpen";
