//! The parts of a client configuration, each for the stage that takes it.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    AddressFamily, AuthMethod, IdentityAgent, IdentityFile, Origin, RekeyLimit,
    StrictHostKeyChecking, Switch, UpdateHostKeys, Way,
};
use crate::observe::logs::Verbosity;

/// How to get to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachConfig {
    /// How long connecting and the handshake may take; `None` is the caller's default
    /// (`ConnectTimeout`).
    pub connect_timeout: Option<Duration>,
    /// How to get there (`ProxyJump`, `ProxyCommand`).
    pub way: Way,
    /// Where connections come from (`BindAddress`, `BindInterface`).
    pub origin: Origin,
    /// How often to try, a second apart, before it counts as a failure; 1 by default
    /// (`ConnectionAttempts`).
    pub connection_attempts: u32,
    /// Whether the system probes silent connections (`TCPKeepAlive`).
    pub tcp_keep_alive: Switch,
    /// Which addresses of the server are tried (`AddressFamily`).
    pub address_family: AddressFamily,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// Private keys to try, in their order (`IdentityFile`, `-i`).
    pub identity_files: Vec<IdentityFile>,
    /// User certificates to try (`CertificateFile`). When there are none, those beside the identity
    /// files (`-cert.pub`) are.
    pub certificate_files: Vec<PathBuf>,
    /// Whether the agent's keys are tried only when they belong to an identity file
    /// (`IdentitiesOnly`).
    pub identities_only: Switch,
    /// The signature algorithms that keys are tried with, by their names and in the order of
    /// preference (`PubkeyAcceptedAlgorithms`).
    pub pubkey_accepted_algorithms: Vec<String>,
    /// The agent to ask (`IdentityAgent`).
    pub identity_agent: IdentityAgent,
    /// Whether nobody may be asked anything (`BatchMode`).
    pub batch_mode: Switch,
    /// Whether keys are tried (`PubkeyAuthentication`).
    pub pubkey_authentication: Switch,
    /// Whether questions of the server are answered (`KbdInteractiveAuthentication`).
    pub kbd_interactive_authentication: Switch,
    /// Whether a password is tried (`PasswordAuthentication`).
    pub password_authentication: Switch,
    /// The methods in the order to try them (`PreferredAuthentications`); those that we do not
    /// know are left out.
    pub preferred_authentications: Vec<AuthMethod>,
    /// How often a password is asked for, 3 by default (`NumberOfPasswordPrompts`).
    pub number_of_password_prompts: u32,
    /// Whether keys of files go to the agent when they are used (`AddKeysToAgent`).
    pub add_keys_to_agent: AddKeysToAgent,
}

/// Which host keys are trusted, and where they are on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyConfig {
    /// Where host keys are on record; new ones go to the first (`UserKnownHostsFile`).
    pub user_known_hosts_files: Vec<PathBuf>,
    /// Where the system keeps host keys; never written (`GlobalKnownHostsFile`).
    pub global_known_hosts_files: Vec<PathBuf>,
    /// What prints further host keys (`KnownHostsCommand`): a program and its arguments. A NUL stands for
    /// the `%` of a token that is known only when it runs: `H`, `I`, `K`, `f`, `t`.
    pub known_hosts_command: Option<Vec<String>>,
    /// The name to look up in those files instead of the host's (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// What to do about a host key that is not on record (`StrictHostKeyChecking`).
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// Whether names are hashed when they are put on record (`HashKnownHosts`).
    pub hash_known_hosts: Switch,
    /// Whether the record follows the keys that a server announces (`UpdateHostKeys`).
    pub update_host_keys: UpdateHostKeys,
    /// Files of keys that no server may show (`RevokedHostKeys`).
    pub revoked_host_keys: Vec<PathBuf>,
    /// The signatures that count under a host certificate (`CASignatureAlgorithms`); `None` is
    /// OpenSSH's default, which has no SHA-1.
    pub ca_signature_algorithms: Option<Vec<String>>,
}

/// Whether keys of files go to the agent when they are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddKeysToAgent {
    /// No.
    #[default]
    No,
    /// When a person says so.
    Ask,
    /// Yes.
    Yes {
        /// Whether the agent asks a person for each signature.
        confirm: Switch,
        /// After how many seconds the agent forgets them; `None` is never.
        lifetime: Option<u32>,
    },
}

/// What a session is like once it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// How often a silent server is probed; `None` is the caller's default
    /// (`ServerAliveInterval`, whose 0 is "never" to `ssh`).
    pub server_alive_interval: Option<Duration>,
    /// After how many probes without an answer the server is lost, 3 by default
    /// (`ServerAliveCountMax`).
    pub server_alive_count_max: u32,
    /// Whether data is compressed (`Compression`, `-C`).
    pub compression: Switch,
    /// How long the keys of a session serve (`RekeyLimit`).
    pub rekey_limit: RekeyLimit,
    /// What the user's shell runs when the first session is up (`LocalCommand`, where
    /// `PermitLocalCommand` allows it).
    pub local_command: Option<String>,
}

/// What a configuration says about the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessConfig {
    /// How much to log (`LogLevel`); `None` where nobody has said so.
    pub log_level: Option<Verbosity>,
    /// Whether it goes to the background once it is up (`ForkAfterAuthentication`).
    pub fork_after_authentication: Switch,
    /// What has been set and has no effect, each with the reason.
    pub idle: Vec<(&'static str, &'static str)>,
    /// What has been set and does not mean quite what it means to `ssh`, each with the difference.
    pub notes: Vec<(&'static str, &'static str)>,
}
