//! The command line of `sockeye`, and the commands besides the proxy itself.

pub mod assemble;
pub mod background;
pub mod check;
pub mod command;
mod completions;
pub mod demo;
pub mod descriptors;
mod desktop;
mod errand;
pub mod exit;
mod explain;
mod flags;
pub mod from_file;
pub mod hardening;
mod help;
mod init;
mod man;
mod operate;
mod pac;
mod problem;
pub mod run_options;
mod service;
pub mod signals;
pub mod terminal;

mod args;
mod configured;
mod progress;
mod subcommand;
mod values;
mod version;

pub use command::Command;
pub use configured::FileError;
pub use exit::Exit;
pub use subcommand::meant;
