//! The parts of a client configuration, one for each stage.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    AddressFamily, AuthMethod, IdentityFile, Origin, RekeyLimit, StrictHostKeyChecking, Switch,
    UpdateHostKeys, Way,
};
use crate::observe::logs::Verbosity;

/// How to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachConfig {
    /// The time limit for connecting and for the handshake; `None` stands for the caller's default
    /// (`ConnectTimeout`).
    pub connect_timeout: Option<Duration>,
    /// The route (`ProxyJump`, `ProxyCommand`).
    pub way: Way,
    /// The source of connections (`BindAddress`, `BindInterface`).
    pub origin: Origin,
    /// The number of attempts, a second apart, before a failure is reported; 1 by default
    /// (`ConnectionAttempts`).
    pub connection_attempts: u32,
    /// Whether the system sends TCP keepalives (`TCPKeepAlive`).
    pub tcp_keep_alive: Switch,
    /// The address family of the server (`AddressFamily`).
    pub address_family: AddressFamily,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// Private keys to try, in order (`IdentityFile`, `-i`).
    pub identity_files: Vec<IdentityFile>,
    /// User certificates to try (`CertificateFile`). If empty, those next to the identity files
    /// (`-cert.pub`) are tried.
    pub certificate_files: Vec<PathBuf>,
    /// Whether keys of the agent are tried only if they belong to an identity file
    /// (`IdentitiesOnly`).
    pub identities_only: Switch,
    /// The signature algorithms for keys, by name and in order of preference
    /// (`PubkeyAcceptedAlgorithms`).
    pub pubkey_accepted_algorithms: Vec<String>,
    /// The socket of the agent to ask for keys and signatures (`IdentityAgent`); `None` for no agent.
    pub identity_agent: Option<PathBuf>,
    /// Whether no questions may be asked (`BatchMode`).
    pub batch_mode: Switch,
    /// Whether keys are tried (`PubkeyAuthentication`).
    pub pubkey_authentication: Switch,
    /// Whether the server's questions are answered (`KbdInteractiveAuthentication`).
    pub kbd_interactive_authentication: Switch,
    /// Whether a password is tried (`PasswordAuthentication`).
    pub password_authentication: Switch,
    /// The methods to try, in order (`PreferredAuthentications`); unknown ones are left out.
    pub preferred_authentications: Vec<AuthMethod>,
    /// How often a password is asked for, 3 by default (`NumberOfPasswordPrompts`).
    pub number_of_password_prompts: u32,
    /// Whether keys from files are added to the agent when used (`AddKeysToAgent`).
    pub add_keys_to_agent: AddKeysToAgent,
}

/// Which host keys are trusted, and where they are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyConfig {
    /// The files with recorded host keys; new ones go to the first (`UserKnownHostsFile`).
    pub user_known_hosts_files: Vec<PathBuf>,
    /// The system's files with host keys; never written (`GlobalKnownHostsFile`).
    pub global_known_hosts_files: Vec<PathBuf>,
    /// The program that prints more host keys (`KnownHostsCommand`), and its arguments. A NUL stands for
    /// the `%` of tokens that are known only when it runs: `H`, `I`, `K`, `f`, `t`.
    pub known_hosts_command: Option<Vec<String>>,
    /// The name to look up in those files in place of the host's (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// What to do about a host key that is not on record (`StrictHostKeyChecking`).
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// Whether recorded names are hashed (`HashKnownHosts`).
    pub hash_known_hosts: Switch,
    /// Whether the record is updated with the keys that a server announces (`UpdateHostKeys`).
    pub update_host_keys: UpdateHostKeys,
    /// Files of revoked host keys (`RevokedHostKeys`).
    pub revoked_host_keys: Vec<PathBuf>,
    /// The signature algorithms accepted in host certificates (`CASignatureAlgorithms`); `None`
    /// stands for OpenSSH's default, which excludes SHA-1.
    pub ca_signature_algorithms: Option<Vec<String>>,
}

/// Whether keys from files are added to the agent when used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddKeysToAgent {
    /// No.
    #[default]
    No,
    /// Only if a person agrees.
    Ask,
    /// Yes.
    Yes {
        /// Whether the agent asks a person for each signature.
        confirm: Switch,
        /// The number of seconds until the agent forgets them; `None` means never.
        lifetime: Option<u32>,
    },
}

/// The parameters of an established session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The interval of keepalive probes; `None` stands for the caller's default
    /// (`ServerAliveInterval`, whose 0 means "never" to `ssh`).
    pub server_alive_interval: Option<Duration>,
    /// The number of unanswered probes after which the server counts as lost; 3 by default
    /// (`ServerAliveCountMax`).
    pub server_alive_count_max: u32,
    /// Whether data is compressed (`Compression`, `-C`).
    pub compression: Switch,
    /// When a session is to be rekeyed (`RekeyLimit`).
    pub rekey_limit: RekeyLimit,
    /// The command for the user's shell when the first session is up (`LocalCommand`, if
    /// `PermitLocalCommand` allows it).
    pub local_command: Option<String>,
}

/// Settings of the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessConfig {
    /// How much to log (`LogLevel`); `None` if it is not configured.
    pub log_level: Option<Verbosity>,
    /// Whether the program goes to the background once it is up (`ForkAfterAuthentication`).
    pub fork_after_authentication: Switch,
    /// Configured keywords that have no effect, with the reason.
    pub idle: Vec<(&'static str, &'static str)>,
    /// Configured keywords that differ slightly from `ssh`, with the difference.
    pub notes: Vec<(&'static str, &'static str)>,
}
