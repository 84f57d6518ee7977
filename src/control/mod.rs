//! The control socket of a running program, what it says, and who speaks to it.

pub mod schema;
