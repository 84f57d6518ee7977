//! Who watches while rules are judged: nobody when a request is decided, a page of reasons when it
//! is explained. Both run the same code.

use std::sync::Arc;

use serde::Serialize;

/// What looks on while rules are judged. The texts are only made for one who wants them.
pub(super) trait Tracer {
    /// A rule comes next.
    fn rule(&mut self, name: &Arc<str>);

    /// A condition of that rule was looked at.
    fn condition(&mut self, kind: Kind, finding: Finding, text: impl FnOnce() -> String);

    /// What came of that rule.
    fn verdict(&mut self, verdict: Verdict);
}

/// A tracer that does not look, and costs nothing.
#[derive(Debug)]
pub(super) struct Blind;

/// One rule, in the order in which they were judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What came of it.
    pub verdict: Verdict,
    /// The conditions that were looked at, in order. The first of the kind `port`, `listener`,
    /// `user` or `source` that fails is the last; destination conditions are alternatives.
    pub conditions: Vec<Reason>,
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It decides.
    Matched,
    /// The next rule is asked.
    Passed,
    /// The name has to be looked up here first.
    Resolve,
}

/// One condition and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its kind.
    pub condition: Kind,
    /// Whether it held.
    pub finding: Finding,
    /// The configured text that matched, or why nothing did.
    pub text: String,
}

/// Whether a condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It holds.
    Held,
    /// It does not.
    Failed,
    /// It cannot be known before the name is looked up here.
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
    /// The listener it came in by.
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

/// Writes down every step.
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
