//! The command line of `sockeye`, and what it does beside the proxy itself.

pub mod background;
pub mod command;
pub mod demo;
pub mod exit;
pub mod hardening;
pub mod problem;
pub mod signals;
pub mod terminal;

mod args;
pub mod assemble;
mod refused;
mod version;

pub use command::Command;
pub use exit::Exit;
