//! How a connection comes in.

pub mod stream;
