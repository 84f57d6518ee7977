//! Decides where a request goes: pure and synchronous, from a [`Query`] to a [`Decision`].
//!
//! A [`Router`] holds the [`Rule`]s, each with [`Conditions`] and an [`Action`]; the first one whose conditions
//! hold decides. The same evaluation decides a request and explains the decision. Names are not resolved here:
//! a rule that needs addresses requests them ([`Outcome::Resolve`]), and is evaluated again with the result.

mod addresses;
mod conditions;
mod conditions_builder;
mod decision;
mod destinations;
mod explanation;
mod keys;
mod list;
mod names;
mod pac;
mod port_range;
mod query;
mod router;
mod rule;
#[cfg(test)]
mod tests;
mod trace;

pub use conditions::{Conditions, Resolve};
pub use conditions_builder::{ConditionError, ConditionsBuilder};
pub use decision::{Action, Decision, Outcome, Select, Via};
pub use explanation::{Explanation, Otherwise, Resolver};
pub use list::{InvalidEntry, List, ListError, Mistake, Mistakes, Progress};
pub use pac::{Localhost, pac};
pub use port_range::{InvalidPortRange, PortRange};
pub use query::Query;
pub use router::Router;
pub use rule::Rule;
pub use trace::{Finding, Kind, Reason, Step, Verdict};
