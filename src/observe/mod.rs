//! Logs of the running program.

pub mod logs;

mod json;
mod sink;
mod text;
