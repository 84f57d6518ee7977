//! The observer of the rules' evaluation: inactive when a request is decided, recording reasons when it is
//! explained. Both run the same code.

use std::sync::Arc;

use serde::Serialize;

/// An observer of the rules' evaluation. Texts are built only if they are recorded.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    steps: Option<Vec<Step>>,
}

/// The trace of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The evaluated conditions in order. The first `port`, `listener`, `user` or `source` that fails is the
    /// last one; destination conditions are alternatives.
    pub conditions: Vec<Reason>,
}

/// The verdict on a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It decides.
    #[strum(to_string = "matches")]
    Matched,
    /// The next rule is evaluated.
    #[strum(to_string = "does not match")]
    Passed,
    /// The name must be resolved on this machine first.
    #[strum(to_string = "depends on the addresses of the name")]
    Resolve,
}

/// A condition and its finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its kind.
    pub condition: Kind,
    /// Whether it held.
    pub finding: Finding,
    /// The configured text that matched, or why none did.
    pub text: String,
}

/// Whether a condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It holds.
    #[strum(to_string = "yes")]
    Held,
    /// It does not hold.
    #[strum(to_string = "no")]
    Failed,
    /// The name must be resolved on this machine first.
    #[strum(to_string = "not known yet")]
    Unknown,
}

/// The kinds of conditions, named as in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A name.
    Domain,
    /// A name and its subdomains.
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
        self.into()
    }
}

impl Tracer {
    /// Records every step; the default records nothing.
    pub(super) fn recording() -> Self {
        Self { steps: Some(Vec::new()) }
    }

    pub(super) fn rule(&mut self, name: &Arc<str>) {
        if let Some(steps) = &mut self.steps {
            let rule = Arc::clone(name);
            steps.push(Step { rule, verdict: Verdict::Passed, conditions: Vec::new() });
        }
    }

    pub(super) fn condition(
        &mut self,
        condition: Kind,
        finding: Finding,
        text: impl FnOnce() -> String,
    ) {
        if let Some(step) = self.last() {
            step.conditions.push(Reason { condition, finding, text: text() });
        }
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) {
        if let Some(step) = self.last() {
            step.verdict = verdict;
        }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }

    fn last(&mut self) -> Option<&mut Step> {
        self.steps.as_mut()?.last_mut()
    }
}
