//! Logs of the running program.

pub mod logs;

mod json;
mod sink;
#[cfg(test)]
pub(crate) mod testing;
mod text;
