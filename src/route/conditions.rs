//! The conditions of a rule.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::AddressSet;
use super::destinations::Destinations;
use super::port_range::PortRange;
use super::query::Query;
use super::trace::{Finding, Kind, Tracer};

/// The conditions of one rule, built by a [`ConditionsBuilder`](super::ConditionsBuilder). Conditions on the
/// destination (names, addresses, lists) are alternatives; in addition, one of each other kind must hold. A
/// rule without conditions matches everything.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    pub(super) ports: Vec<PortRange>,
    pub(super) listeners: Vec<Arc<str>>,
    pub(super) users: Vec<Arc<str>>,
    /// None if there is no condition on the source.
    pub(super) sources: Option<AddressSet>,
    /// None if there is no condition on the destination, so that every destination matches.
    pub(super) destinations: Option<Destinations>,
}

/// Whether names are resolved on this machine for a rule's conditions on addresses (`resolve`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolve {
    /// No: only literal addresses are compared. The default.
    #[default]
    Remote,
    /// Yes, when the rule is evaluated (`local`).
    Local,
}

/// The result of a rule's conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Evaluation {
    /// They hold; only for these addresses, if the name had to be resolved.
    Matched { addresses: Option<Vec<IpAddr>> },
    /// They do not hold.
    Passed,
    /// The name must be resolved on this machine first.
    Resolve,
}

impl Conditions {
    pub(super) fn evaluate(
        &self,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut Tracer,
    ) -> Evaluation {
        let range = |port| self.ports.iter().find(|range| range.contains(port));
        let others = (self.ports.is_empty()
            || holds(Kind::Port, query.port, range, "a unix socket has no port", tracer))
            && one_of(&self.listeners, Some(query.listener), Kind::Listener, tracer)
            && one_of(&self.users, query.user, Kind::User, tracer)
            && self.sources.as_ref().is_none_or(|sources| {
                let without = "a client of a unix socket has no address";
                holds(Kind::Source, query.source, |ip| sources.find(ip), without, tracer)
            });
        match &self.destinations {
            _ if !others => Evaluation::Passed,
            None => Evaluation::Matched { addresses: None },
            Some(destinations) => destinations.evaluate(query.host, resolved, tracer),
        }
    }
}

fn one_of(wanted: &[Arc<str>], given: Option<&str>, kind: Kind, tracer: &mut Tracer) -> bool {
    let find = |given: &str| wanted.iter().find(|name| ***name == *given);
    wanted.is_empty() || holds(kind, given, find, "there is none", tracer)
}

/// Whether something is found for `given`; `without` explains a missing value.
fn holds<G: Copy + Display, F: Display>(
    kind: Kind,
    given: Option<G>,
    find: impl FnOnce(G) -> Option<F>,
    without: &str,
    tracer: &mut Tracer,
) -> bool {
    let found = given.and_then(find);
    match &found {
        Some(found) => tracer.condition(kind, Finding::Held, || found.to_string()),
        None => tracer.condition(kind, Finding::Failed, || match given {
            Some(given) => format!("{given} is not there"),
            None => without.to_owned(),
        }),
    }
    found.is_some()
}
