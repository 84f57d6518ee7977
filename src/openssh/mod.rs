//! The parts of OpenSSH's client that need no session: server names, `ssh_config`, and questions to
//! the user.

pub(crate) mod client_config;
pub(crate) mod prompt;
pub(crate) mod server_name;

pub(crate) use client_config::Refusal;
pub use client_config::{
    AddKeysToAgent, AddressFamily, Algorithms, AuthConfig, AuthMethod, ClientConfig, ConfigError,
    ConfigSource, ConfiguredForwards, Effect, HostKeyConfig, IdentityFile, IdentityOrigin,
    InvalidJumpList, Jump, JumpList, KEYWORDS, Keyword, NoneAvailable, Origin, ProcessConfig,
    ReachConfig, RekeyLimit, SessionConfig, Setting, SshOptions, StrictHostKeyChecking, Switch,
    UpdateHostKeys, Way,
};
pub use prompt::{PromptError, Prompter};
pub use server_name::{InvalidServerName, ServerName};
