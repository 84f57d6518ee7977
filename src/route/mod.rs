//! Which way a request goes: pure and synchronous, from a [`Query`] to a [`Decision`].

mod decision;
mod query;
mod router;

pub use decision::{Action, Decision, Outcome, Select, Via};
pub use query::Query;
pub use router::Router;
