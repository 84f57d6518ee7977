//! Everything that knows the SSH library. No type of it leaves this folder.

mod printable;
mod server_name;

pub use server_name::{InvalidServerName, ServerName};

/// One forwarded connection on a session.
#[derive(Debug)]
pub struct Channel {}

/// The sessions to one server.
#[derive(Clone, Debug)]
pub struct Pool {}
