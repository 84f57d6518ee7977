//! Logs of the running program.

pub mod logs;

mod json;
pub(crate) mod lines;
mod sink;
#[cfg(test)]
pub(crate) mod testing;
mod text;
