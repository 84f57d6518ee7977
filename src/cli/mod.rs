//! The command line of `sockeye`, and what it does beside the proxy itself.

pub mod assemble;
pub mod background;
pub mod check;
pub mod command;
pub mod completions;
pub mod demo;
pub mod desktop;
pub mod errand;
pub mod exit;
pub mod explain;
mod flags;
pub mod from_file;
pub mod hardening;
pub mod help;
pub mod init;
pub mod man;
pub mod operate;
pub mod pac;
pub mod problem;
pub mod run_options;
pub mod service;
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
