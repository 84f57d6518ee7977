//! The explanation of a decision.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::decision::{Action, Decision, Outcome};
use super::query::Query;
use super::trace::Step;
use crate::destination::Host;
use crate::printable::{Escaper, Lines};

/// The decision on a request, with its reasons. As JSON it has the fields `destination`, `action`, `rule`,
/// `servers`, `resolve` and `trace`; its text is a paragraph for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The destination of the request.
    pub destination: String,
    /// The decision.
    pub outcome: Outcome,
    /// Who resolves the name; none if there is no name, or it is not resolved.
    pub resolve: Option<Resolver>,
    /// The evaluated rules in order, up to the deciding one.
    pub trace: Vec<Step>,
    /// What decides if no rule does.
    pub otherwise: Otherwise,
}

/// What decides if no rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
pub enum Otherwise {
    /// `[default]`, or its absence.
    #[default]
    #[strum(to_string = "by default")]
    Default,
    /// The forward itself, to which the rules do not apply.
    #[strum(to_string = "as its forward says")]
    Forward,
    /// The listener's place on a server: its requests are connected directly.
    #[strum(to_string = "as no rule matches")]
    Direct,
}

/// Where a name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Resolver {
    /// By the SSH server.
    #[serde(rename = "far side")]
    FarSide,
    /// On this machine.
    #[serde(rename = "here")]
    Here,
}

impl Explanation {
    pub(super) fn new(
        query: &Query<'_>,
        resolved: Option<&[IpAddr]>,
        outcome: Outcome,
        trace: Vec<Step>,
    ) -> Self {
        let destination = match (query.host, query.port) {
            (Some(Host::Ip(IpAddr::V6(ip))), Some(port)) => format!("[{ip}]:{port}"),
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_string(),
            (None, _) => "a unix socket".to_owned(),
        };
        let resolve = match (query.host, &outcome) {
            (Some(Host::Name(_)), outcome) => resolver(outcome, resolved),
            _ => None,
        };
        Self { destination, outcome, resolve, trace, otherwise: Otherwise::default() }
    }

    /// The same explanation with another decider if no rule decides.
    #[must_use]
    pub fn otherwise(self, otherwise: Otherwise) -> Self {
        Self { otherwise, ..self }
    }

    /// The explanation if the look-up fails: the rule that needs the addresses may be the one that forbids the
    /// request, so that no later rule is evaluated.
    #[must_use]
    pub fn unresolved(mut self) -> Self {
        if let (Outcome::Resolve, Some(step)) = (&self.outcome, self.trace.last_mut()) {
            if let Some(reason) = step.conditions.last_mut() {
                "the name could not be looked up here".clone_into(&mut reason.text);
            }
            let rule = Some(Arc::clone(&step.rule));
            self.outcome = Outcome::Decided(Decision { rule, action: Action::Reject });
        }
        self
    }

    /// `via`, `direct` or `reject`; none if the name must be resolved on this machine first.
    pub fn action(&self) -> Option<&'static str> {
        self.decision().map(|decision| match decision.action {
            Action::Via(_) => "via",
            Action::Direct { .. } => "direct",
            Action::Reject => "reject",
        })
    }

    /// The name of the deciding rule; none if it is the default.
    pub fn rule(&self) -> Option<&Arc<str>> {
        self.decision()?.rule.as_ref()
    }

    /// The servers that may carry it, in the order of the configuration.
    pub fn servers(&self) -> &[Arc<str>] {
        match self.decision().map(|decision| &decision.action) {
            Some(Action::Via(via)) => &via.servers,
            Some(Action::Direct { .. } | Action::Reject) | None => &[],
        }
    }

    fn decision(&self) -> Option<&Decision> {
        match &self.outcome {
            Outcome::Decided(decision) => Some(decision),
            Outcome::Resolve => None,
        }
    }
}

fn resolver(outcome: &Outcome, resolved: Option<&[IpAddr]>) -> Option<Resolver> {
    match outcome {
        Outcome::Resolve => Some(Resolver::Here),
        Outcome::Decided(_) if resolved.is_some() => Some(Resolver::Here),
        Outcome::Decided(decision) => match decision.action {
            Action::Via(_) => Some(Resolver::FarSide),
            Action::Direct { .. } => Some(Resolver::Here),
            Action::Reject => None,
        },
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Explanation", 6)?;
        fields.serialize_field("destination", &self.destination)?;
        fields.serialize_field("action", &self.action())?;
        fields.serialize_field("rule", &self.rule().map(|rule| &**rule))?;
        let servers: Vec<&str> = self.servers().iter().map(|server| &**server).collect();
        fields.serialize_field("servers", &servers)?;
        fields.serialize_field("resolve", &self.resolve)?;
        fields.serialize_field("trace", &self.trace)?;
        fields.end()
    }
}

impl fmt::Display for Explanation {
    /// Configured text may contain anything, so that it is escaped; line feeds come only from here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, format_args!("{}", self.destination))?;
        for step in &self.trace {
            write_line(f, format_args!("  rule {}: {}", step.rule, step.verdict))?;
            for reason in &step.conditions {
                let key = reason.condition.key();
                write_line(f, format_args!("    {key}: {} ({})", reason.finding, reason.text))?;
            }
        }
        let decided = match &self.outcome {
            Outcome::Decided(Decision { rule: Some(rule), action }) => {
                format!("{action}, by rule {rule}")
            }
            Outcome::Decided(Decision { rule: None, action }) => {
                format!("{action}, {}", self.otherwise)
            }
            Outcome::Resolve => "not known before its name is looked up here".to_owned(),
        };
        write!(Escaper::new(&mut *f, Lines::One), "  => {decided}")?;
        match (self.resolve, &self.outcome) {
            (Some(Resolver::Here), Outcome::Decided(_)) => {
                f.write_str("; its name is looked up here")
            }
            (Some(Resolver::FarSide), _) => f.write_str("; its name is looked up on the far side"),
            (Some(Resolver::Here), Outcome::Resolve) | (None, _) => Ok(()),
        }
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, line: fmt::Arguments<'_>) -> fmt::Result {
    write!(Escaper::new(&mut *f, Lines::One), "{line}")?;
    f.write_str("\n")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Via(via) => {
                write!(f, "via {}", via.servers.join(", "))?;
                if via.servers.len() > 1 { write!(f, " ({})", via.select) } else { Ok(()) }
            }
            Self::Direct { addresses: None } => f.write_str("direct"),
            Self::Direct { addresses: Some(addresses) } => {
                let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
                write!(f, "direct to {}", addresses.join(" or "))
            }
            Self::Reject => f.write_str("reject"),
        }
    }
}
