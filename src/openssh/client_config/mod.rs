//! What `ssh` itself would do for a server: its configuration as printed by `ssh -G`, or OpenSSH's
//! defaults if no `ssh` is installed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::server_name::ServerName;

mod algorithms;
mod auth;
mod connection;
mod forwards;
mod groups;
mod host_keys;
mod keywords;
mod local;
mod parse;
mod query;
mod settings;
mod signatures;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

pub use algorithms::{Algorithms, NoneAvailable};
pub use connection::{InvalidJumpList, Jump, JumpList, Origin, RekeyLimit, Way};
pub use forwards::ConfiguredForwards;
pub use groups::{
    AddKeysToAgent, AuthConfig, HostKeyConfig, ProcessConfig, ReachConfig, SessionConfig,
};
pub use keywords::{Effect, KEYWORDS, Keyword};

pub(crate) use algorithms::{HOST_KEYS, HostKeyOrder, HostKeyTypes, Kind, OLD_HOST_KEYS};
pub(crate) use signatures::SIGNATURES;

/// Command-line flags that affect what `ssh` would do. They are passed on to `ssh -G`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `-F`: the configuration file instead of the user's and the system's.
    pub config_file: Option<PathBuf>,
    /// `-o` and its short forms, in order. The first value of a keyword applies, as in `ssh`, but key files
    /// accumulate.
    pub options: Vec<Setting>,
    /// `-4` or `-6`.
    pub address_family: Option<AddressFamily>,
    /// `-J`.
    pub jumps: Option<JumpList>,
    /// `-b`.
    pub bind_address: Option<String>,
    /// `-B`.
    pub bind_interface: Option<String>,
    /// `-C`.
    pub compression: Switch,
    /// `-c`.
    pub ciphers: Option<String>,
    /// `-m`.
    pub macs: Option<String>,
    /// Whether standard input and output are connected (`-W`), which changes the defaults of forwards.
    pub stdio: Switch,
}

/// A value that the command line gives to a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `-o`, `Key=Value` or `Key Value`.
    Option(String),
    /// `-l`.
    User(String),
    /// `-p`.
    Port(u16),
    /// `-i`. Unlike in `ssh`, a missing file is kept.
    Identity(PathBuf),
    /// `-P`, which `Match tagged` selects by.
    Tag(String),
    /// The server's name, which may contain a user and a port. If absent, it counts as the last.
    Name,
}

/// What `ssh` would do for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The host as the user typed it, possibly an alias.
    pub name: String,
    /// The host to connect to (`HostName`), in lower case.
    pub host_name: String,
    /// The port to connect to, 1 to 65535, 22 by default (`Port`).
    pub port: u16,
    /// The user to log in as (`User`).
    pub user: String,
    /// The value of `%C`, if `ssh` was asked.
    pub(crate) hash: Option<String>,
    /// The smallest RSA key size in bits, for the server's keys and our own; 1024 by default
    /// (`RequiredRSASize`).
    pub required_rsa_size: u32,
    /// How to reach the server.
    pub reach: ReachConfig,
    /// How to log in.
    pub auth: AuthConfig,
    /// How to verify the server.
    pub host_keys: HostKeyConfig,
    /// What to offer in the key exchange (`KexAlgorithms`, `Ciphers`, `MACs`, `HostKeyAlgorithms`).
    pub algorithms: Algorithms,
    /// The parameters of an established session.
    pub session: SessionConfig,
    /// Settings of the program itself.
    pub process: ProcessConfig,
    /// The forwards that the configuration sets (`LocalForward` and the like).
    pub forwards: ConfiguredForwards,
}

/// The source of a [`ClientConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// `ssh -G`.
    Ssh,
    /// The flags and OpenSSH's defaults, without any configuration file, because there is no `ssh`.
    /// The user should be told once.
    Defaults,
}

/// A private key to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFile {
    /// The path of the private key; the public key may be next to it, with the suffix `.pub`.
    pub path: PathBuf,
    /// Whether it was configured.
    pub origin: IdentityOrigin,
}

/// Whether a key file was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityOrigin {
    /// By `-i` or `IdentityFile`: worth a warning if it is missing.
    Named,
    /// One of OpenSSH's default names, most of which are missing on any machine.
    Default,
}

/// What to do about a host key that is not on record. A key that differs from the recorded one is
/// always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Refuse it.
    Yes,
    /// Ask a person, or refuse it if nobody can be asked. OpenSSH's default.
    Ask,
    /// Accept and record it (`accept-new`, and `no`: unlike in `ssh`, that does not continue with a changed key).
    AcceptNew,
}

/// Whether the record of host keys is updated with the keys that a server announces, once it has
/// proved that it holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateHostKeys {
    /// Yes. OpenSSH's default, if `UserKnownHostsFile` is the default too.
    Yes,
    /// Only if a person agrees.
    Ask,
    /// No.
    No,
}

/// A yes-or-no setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

/// The address family of a server and of local ports (`AddressFamily`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
pub enum AddressFamily {
    /// Both. OpenSSH's default.
    #[default]
    #[strum(to_string = "IP")]
    Any,
    /// IPv4 only.
    #[strum(to_string = "IPv4")]
    Inet,
    /// IPv6 only.
    #[strum(to_string = "IPv6")]
    Inet6,
}

/// A supported authentication method (RFC 4252, RFC 4256).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum AuthMethod {
    /// A key, from a file or an agent.
    #[strum(serialize = "publickey")]
    PublicKey,
    /// The server's questions, answered by a person.
    KeyboardInteractive,
    /// A password.
    Password,
}

/// Why `ssh` could not say what it would do, or why that cannot be done here. Values are escaped.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    /// `ssh -G` rejected the flags or a configuration file, in its own words.
    #[error("{0}")]
    Refused(String),
    #[error("running 'ssh -G' failed: {0}")]
    Run(std::io::Error),
    /// `ssh -G` did not end in time; a `Match exec` of the configuration may hang.
    #[error("'ssh -G' did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The configuration asks for something that is not supported. A connection without it would
    /// not be the one that was asked for.
    #[error("{keyword} is set for {host}, but not supported here; {remedy}")]
    Unsupported {
        /// The server, as the user typed it.
        host: String,
        keyword: &'static str,
        remedy: &'static str,
    },
    #[error("{keyword} has a value that cannot be read: '{value}'")]
    Invalid { keyword: &'static str, value: String },
    #[error(
        "{keyword} '{value}': {why} (-o ClearAllForwardings=yes leaves out the forwards of the \
         configuration)"
    )]
    Forward { keyword: &'static str, value: String, why: String },
    /// A token or variable in the value of a flag is unknown.
    #[error("{flag} '{value}': {why}")]
    Flag {
        /// `-L`, `-R` or `-S`.
        flag: &'static str,
        value: String,
        why: String,
    },
    #[error("ProxyJump: {0}")]
    Jump(InvalidJumpList),
    /// No algorithm of a configured list is available.
    #[error(transparent)]
    NoAlgorithm(#[from] NoneAvailable),
    #[error(
        "{keyword} has the token %{token}; those that it can have are %%, %h, %k, %n, %p and %r"
    )]
    Token { keyword: &'static str, token: String },
    #[error(
        "ProxyUseFdpass is not supported: have the ProxyCommand carry the data itself, or use \
         ProxyJump"
    )]
    DescriptorPassing,
    /// Options that `ssh` would reject, each with the reason.
    #[error("{0}")]
    Options(String),
    #[error("-F needs the program ssh, which is not installed")]
    NeedsSsh,
    /// The user name is in neither the flags, the password database nor the environment (USER, LOGNAME).
    #[error("no user name: give one as user@host or with -l")]
    NoUser,
}

impl SshOptions {
    /// The options in order, including the server's name at its position.
    fn with_name(&self) -> impl Iterator<Item = &Setting> {
        let is_placed = self.options.contains(&Setting::Name);
        self.options.iter().chain((!is_placed).then_some(&Setting::Name))
    }

    /// The key files of all options, in order.
    fn identities(&self) -> impl Iterator<Item = String> {
        self.options.iter().filter_map(|setting| match setting {
            Setting::Identity(file) => Some(file.to_string_lossy().into_owned()),
            Setting::Option(option) => {
                let (keyword, value) = settings::read_option(option)?;
                (keyword == "identityfile").then_some(value)
            }
            Setting::User(_) | Setting::Port(_) | Setting::Tag(_) | Setting::Name => None,
        })
    }
}

impl From<&str> for Setting {
    fn from(option: &str) -> Self {
        Self::Option(option.to_owned())
    }
}

impl From<String> for Setting {
    fn from(option: String) -> Self {
        Self::Option(option)
    }
}

/// A single complaint of `ssh -G`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The configuration file and line, from 1, if `ssh` names them.
    pub(crate) at: Option<(PathBuf, usize)>,
    pub(crate) what: String,
}

impl ConfigError {
    /// The individual complaints, if `ssh` has rejected the configuration.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        match self {
            Self::Refused(said) => query::refusals(said),
            other => vec![Refusal { at: None, what: other.to_string() }],
        }
    }
}

impl ClientConfig {
    /// Finds out what `ssh` would do for `name`: runs `ssh -G`, never through a shell.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unsupported`] if the configuration asks for something without which the
    /// connection would not be the one that was asked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills `ssh`.
    pub async fn query(
        name: &ServerName,
        options: &SshOptions,
    ) -> Result<(Self, ConfigSource), ConfigError> {
        match query::ask("ssh", name, options).await? {
            Some(output) => {
                let usual = query::usual("ssh").await?;
                let local = local::Local::from_environment();
                Ok((parse::parse(&output, usual, name, options, &local)?, ConfigSource::Ssh))
            }
            None => Self::without_ssh(name, options),
        }
    }

    /// The configuration according to the flags and OpenSSH's defaults alone, without any configuration file.
    pub(crate) fn without_ssh(
        name: &ServerName,
        options: &SshOptions,
    ) -> Result<(Self, ConfigSource), ConfigError> {
        let local = local::Local::from_environment();
        Ok((parse::defaults(name, options, &local)?, ConfigSource::Defaults))
    }
}

impl Switch {
    /// Whether the setting is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl AddressFamily {
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Inet => address.is_ipv4(),
            Self::Inet6 => address.is_ipv6(),
        }
    }
}

impl AuthMethod {
    /// Its name in the protocol and in `PreferredAuthentications`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
