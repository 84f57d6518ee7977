//! Everything that knows the SSH library. No type of it leaves this folder.

mod auth;
mod channel;
mod client_config;
mod connect;
pub mod demo_server;
mod distance;
mod handler;
mod host_key;
mod known_hosts;
mod load;
mod monitor;
mod open_failure;
mod pool;
mod prompt;
mod reach;
mod remote_listener;
mod server_name;
mod session;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod unasked;
mod wake;

pub use auth::{AuthError, Credentials, Tried};
pub use channel::{Channel, ChannelGone, ChannelReader, ChannelWriter, Incoming};
pub use client_config::{
    AddressFamily, AuthMethod, ClientConfig, ConfigError, ConfigSource, ConfiguredForwards,
    IdentityAgent, IdentityFile, IdentityOrigin, SshOptions, StrictHostKeyChecking, Switch,
    UpdateHostKeys,
};
pub use connect::{ConnectError, Connector};
pub use host_key::{CertificateFault, HostKeyError, RefusedKey, RevocationError};
pub use known_hosts::{KnownHostsError, RecordedKey};
pub(crate) use load::Pace;
pub use open_failure::TargetFault;
pub use pool::{
    Burden, FirstAttempt, FirstSession, InvalidPoolSize, Placed, Pool, PoolSize, Standing,
    placement,
};
pub use prompt::{PromptError, Prompter};
pub use reach::ReachError;
pub use remote_listener::{Forwarded, ListenError, Place, Refusal, RemoteListener};
pub use server_name::{InvalidServerName, ServerName};
pub use session::OpenError;
