//! Everything that knows the SSH library. No type of it leaves this folder.

mod auth;
mod channel;
mod client_config;
mod connect;
pub mod demo_server;
mod distance;
mod handler;
mod host_key;
mod jump;
mod known_hosts;
mod load;
mod monitor;
mod observed;
mod open_failure;
mod opening;
mod pool;
mod prompt;
mod proxy_command;
mod reach;
mod remote_listener;
mod server_name;
mod session;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod unasked;
mod wake;
mod wear;
mod wire;

pub use auth::{AuthError, Credentials, Tried};
pub use channel::{Channel, ChannelGone, ChannelReader, ChannelWriter, Incoming};
pub use client_config::{
    AddressFamily, Algorithms, AuthMethod, ClientConfig, ConfigError, ConfigSource,
    ConfiguredForwards, IdentityAgent, IdentityFile, IdentityOrigin, InvalidJumpList, Jump,
    JumpList, NoneAvailable, Origin, RekeyLimit, SshOptions, StrictHostKeyChecking, Switch,
    UpdateHostKeys, Way,
};
pub use connect::{ConnectError, Connector, NoCommonAlgorithm, Stage};
pub use host_key::{CertificateFault, HostKeyError, RefusedKey, RevocationError};
pub use jump::{Carry, JumpHosts};
pub use known_hosts::{KnownHostsError, RecordedKey};
pub(crate) use load::Pace;
pub use open_failure::TargetFault;
pub use opening::OpenError;
pub use pool::{
    Burden, FirstAttempt, FirstSession, InvalidPoolSize, Placed, Pool, PoolSize, Standing,
    placement,
};
pub use prompt::{PromptError, Prompter};
pub use reach::ReachError;
pub use remote_listener::{Forwarded, ListenError, Place, Refusal, RemoteListener};
pub use server_name::{InvalidServerName, ServerName};
pub use wire::ByteStream;
