//! What can be seen of the program while it runs.

pub mod logs;

mod json;
mod sink;
mod text;
