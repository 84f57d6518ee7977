//! When a rule matches.

use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::AddressSet;
use super::destinations::Destinations;
use super::port_range::PortRange;
use super::query::Query;
use super::trace::{Finding, Kind, Tracer};

/// The conditions of one rule, made by a [`ConditionsBuilder`](super::ConditionsBuilder). Those on the
/// destination (names, addresses, lists) are alternatives; of each other kind one must hold as well.
/// Without conditions a rule matches everything.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    pub(super) ports: Vec<PortRange>,
    pub(super) listeners: Vec<Arc<str>>,
    pub(super) users: Vec<Arc<str>>,
    /// None where there is no condition on the source.
    pub(super) sources: Option<AddressSet>,
    /// None where there is no condition on the destination: each matches.
    pub(super) destinations: Option<Destinations>,
}

/// Whether names are resolved here for a rule's conditions on addresses (`resolve`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolve {
    /// No: only literal addresses are compared. The default.
    #[default]
    Remote,
    /// Yes, when that rule is reached (`local`).
    Local,
}

/// The result of a rule's conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Evaluation {
    /// They hold; for these addresses, where the name had to be resolved for it.
    Matched { addresses: Option<Vec<IpAddr>> },
    /// They do not hold.
    Passed,
    /// The name has to be resolved here first.
    Resolve,
}

impl Conditions {
    pub(super) fn evaluate<T: Tracer>(
        &self,
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut T,
    ) -> Evaluation {
        let others = self.port_holds(query.port, tracer)
            && one_of(&self.listeners, Some(query.listener), Kind::Listener, tracer)
            && one_of(&self.users, query.user, Kind::User, tracer)
            && self.source_holds(query.source, tracer);
        match &self.destinations {
            _ if !others => Evaluation::Passed,
            None => Evaluation::Matched { addresses: None },
            Some(destinations) => destinations.evaluate(query.host, resolved, tracer),
        }
    }

    fn port_holds<T: Tracer>(&self, port: Option<u16>, tracer: &mut T) -> bool {
        if self.ports.is_empty() {
            return true;
        }
        let found = port.and_then(|port| self.ports.iter().find(|range| range.contains(port)));
        match found {
            Some(range) => tracer.condition(Kind::Port, Finding::Held, || range.to_string()),
            None => tracer.condition(Kind::Port, Finding::Failed, || match port {
                Some(port) => format!("{port} is not there"),
                None => "a unix socket has no port".to_owned(),
            }),
        }
        found.is_some()
    }

    fn source_holds<T: Tracer>(&self, source: Option<IpAddr>, tracer: &mut T) -> bool {
        let Some(sources) = &self.sources else {
            return true;
        };
        let found = source.and_then(|ip| sources.find(ip));
        match found {
            Some(prefix) => tracer.condition(Kind::Source, Finding::Held, || prefix.to_string()),
            None => tracer.condition(Kind::Source, Finding::Failed, || match source {
                Some(ip) => format!("{ip} is not there"),
                None => "a client of a unix socket has no address".to_owned(),
            }),
        }
        found.is_some()
    }
}

fn one_of<T: Tracer>(wanted: &[Arc<str>], found: Option<&str>, kind: Kind, tracer: &mut T) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let holds = found.is_some_and(|found| wanted.iter().any(|name| **name == *found));
    let finding = if holds { Finding::Held } else { Finding::Failed };
    tracer.condition(kind, finding, || match found {
        Some(found) if holds => found.to_owned(),
        Some(found) => format!("{found} is not there"),
        None => "there is none".to_owned(),
    });
    holds
}
