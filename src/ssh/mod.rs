//! Everything that knows the SSH library. No type of it leaves this folder.

mod client_config;
mod host_key;
mod known_hosts;
mod printable;
mod prompt;
mod reach;
mod server_name;

pub use client_config::{
    AddressFamily, AuthMethod, ClientConfig, ConfigError, ConfigSource, IdentityAgent,
    IdentityFile, IdentityOrigin, SshOptions, StrictHostKeyChecking, Switch,
};
pub use host_key::{HostKeyError, RefusedKey};
pub use known_hosts::{KnownHostsError, RecordedKey};
pub use prompt::{PromptError, Prompter};
pub use reach::ReachError;
pub use server_name::{InvalidServerName, ServerName};
pub mod demo_server;

/// One forwarded connection on a session.
#[derive(Debug)]
pub struct Channel {}

/// The sessions to one server.
#[derive(Clone, Debug)]
pub struct Pool {}
