//! What is taken from OpenSSH's client and needs no session: how a server is named, what `ssh_config`
//! says of it, and how a person is asked.

pub(crate) mod client_config;
pub(crate) mod prompt;
pub(crate) mod server_name;

pub(crate) use client_config::Refusal;
pub use client_config::{
    AddKeysToAgent, AddressFamily, Algorithms, AuthConfig, AuthMethod, ClientConfig, ConfigError,
    ConfigSource, ConfiguredForwards, Effect, HostKeyConfig, IdentityAgent, IdentityFile,
    IdentityOrigin, InvalidJumpList, Jump, JumpList, KEYWORDS, Keyword, NoneAvailable, Origin,
    ProcessConfig, ReachConfig, RekeyLimit, SessionConfig, Setting, SshOptions,
    StrictHostKeyChecking, Switch, UpdateHostKeys, Way,
};
pub use prompt::{PromptError, Prompter};
pub use server_name::{InvalidServerName, ServerName};
