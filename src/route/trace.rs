//! The observer of the walk over the rules: none when a request is decided, a record of reasons when it is
//! explained. Both run the same code.

use std::sync::Arc;

use serde::Serialize;

/// An observer of the walk over the rules. Texts are made only for one that uses them.
pub(super) trait Tracer {
    /// The next rule begins.
    fn rule(&mut self, name: &Arc<str>);

    /// A condition of that rule was evaluated.
    fn condition(&mut self, kind: Kind, finding: Finding, text: impl FnOnce() -> String);

    /// The verdict on that rule.
    fn verdict(&mut self, verdict: Verdict);
}

/// A tracer that ignores everything, at no cost.
#[derive(Debug)]
pub(super) struct Blind;

/// The trace of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The conditions that were evaluated, in order. The first of the kind `port`, `listener`,
    /// `user` or `source` that fails is the last; destination conditions are alternatives.
    pub conditions: Vec<Reason>,
}

/// The verdict on a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It decides.
    Matched,
    /// The next rule is asked.
    Passed,
    /// The name has to be resolved here first.
    Resolve,
}

/// One condition and its finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its kind.
    pub condition: Kind,
    /// Whether it held.
    pub finding: Finding,
    /// The configured text that matched, or the reason why none did.
    pub text: String,
}

/// Whether a condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It holds.
    Held,
    /// It does not hold.
    Failed,
    /// The name has to be resolved here first.
    Unknown,
}

/// The kinds of conditions, as the configuration file spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A name.
    Domain,
    /// A name and all below it.
    DomainSuffix,
    /// A part of a name.
    DomainKeyword,
    /// A regular expression on a name.
    DomainRegex,
    /// A prefix of addresses.
    Cidr,
    /// A file of names and addresses.
    List,
    /// The destination's port.
    Port,
    /// The client's address.
    Source,
    /// The listener that accepted the request.
    Listener,
    /// The proxy user.
    User,
}

impl Kind {
    /// Its key in the configuration file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::DomainSuffix => "domain_suffix",
            Self::DomainKeyword => "domain_keyword",
            Self::DomainRegex => "domain_regex",
            Self::Cidr => "cidr",
            Self::List => "list",
            Self::Port => "port",
            Self::Source => "source",
            Self::Listener => "listener",
            Self::User => "user",
        }
    }
}

impl Tracer for Blind {
    fn rule(&mut self, _: &Arc<str>) {}
    fn condition(&mut self, _: Kind, _: Finding, _: impl FnOnce() -> String) {}
    fn verdict(&mut self, _: Verdict) {}
}

/// Records every step.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) steps: Vec<Step>,
}

impl Tracer for Recorder {
    fn rule(&mut self, name: &Arc<str>) {
        let rule = Arc::clone(name);
        self.steps.push(Step { rule, verdict: Verdict::Passed, conditions: Vec::new() });
    }

    fn condition(&mut self, condition: Kind, finding: Finding, text: impl FnOnce() -> String) {
        if let Some(step) = self.steps.last_mut() {
            step.conditions.push(Reason { condition, finding, text: text() });
        }
    }

    fn verdict(&mut self, verdict: Verdict) {
        if let Some(step) = self.steps.last_mut() {
            step.verdict = verdict;
        }
    }
}
