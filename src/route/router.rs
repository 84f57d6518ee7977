//! The rules, ready to be asked.

use std::net::IpAddr;
use std::sync::Arc;

use super::decision::{Action, Decision, Outcome, Select, Via};
use super::query::Query;

/// All rules and the default. Immutable: a reload makes a new one.
#[derive(Clone, Debug)]
pub struct Router {
    default: Action,
}

impl Router {
    /// Everything goes over one server: what a command line with a host asks for.
    pub fn via_one(server: Arc<str>) -> Self {
        let via = Via { servers: vec![server], select: Select::default() };
        Self { default: Action::Via(Arc::new(via)) }
    }

    /// What becomes of a request. `resolved` is what a look-up on this side has found; none where
    /// there was no look-up yet.
    pub fn decide(&self, _query: &Query<'_>, _resolved: Option<&[IpAddr]>) -> Outcome {
        Outcome::Decided(Decision { rule: None, action: self.default.clone() })
    }
}
