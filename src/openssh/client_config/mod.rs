//! What `ssh` itself would do with a server: its configuration as `ssh -G` prints it, or OpenSSH's
//! defaults where no `ssh` is installed.

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

pub use algorithms::{Algorithms, NoneAvailable};
pub use connection::{InvalidJumpList, Jump, JumpList, Origin, RekeyLimit, Way};
pub use forwards::ConfiguredForwards;
pub use groups::{
    AddKeysToAgent, AuthConfig, HostKeyConfig, ProcessConfig, ReachConfig, SessionConfig,
};
pub use keywords::{Effect, KEYWORDS, Keyword};

pub(crate) use algorithms::{HOST_KEYS, HostKeyOrder, HostKeyTypes, Kind, OLD_HOST_KEYS};
pub(crate) use signatures::SIGNATURES;

/// The flags of a command line that change what `ssh` would do. They are handed on to `ssh -G`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `-F`: the configuration file instead of the user's and the system's.
    pub config_file: Option<PathBuf>,
    /// `-o` and its short forms, in their order; the first of a keyword counts, as with `ssh`, and of key files
    /// all.
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
    /// Whether standard input and output are connected (`-W`), which says something about forwards.
    pub stdio: Switch,
}

/// A value that a command line gives to a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `-o`, `Key=Value` or `Key Value`.
    Option(String),
    /// `-l`.
    User(String),
    /// `-p`.
    Port(u16),
    /// `-i`. A file that is missing stays, though `ssh` leaves it out.
    Identity(PathBuf),
    /// `-P`, which `Match tagged` selects by.
    Tag(String),
    /// The server's name, which may have a user and a port. Where it is not said, it is the last.
    Name,
}

/// What `ssh` would do with one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The host as the user typed it, perhaps an alias.
    pub name: String,
    /// The host to connect to (`HostName`), in lower case.
    pub host_name: String,
    /// The port to connect to, 1 to 65535, 22 by default (`Port`).
    pub port: u16,
    /// The user to log in as (`User`).
    pub user: String,
    /// What `ssh` puts for `%C`, where it was asked.
    pub(crate) hash: Option<String>,
    /// RSA keys with fewer bits do not count, the server's or our own; 1024 by default
    /// (`RequiredRSASize`).
    pub required_rsa_size: u32,
    /// How to get there.
    pub reach: ReachConfig,
    /// How to prove who we are.
    pub auth: AuthConfig,
    /// How the server proves who it is.
    pub host_keys: HostKeyConfig,
    /// What to offer in the key exchange (`KexAlgorithms`, `Ciphers`, `MACs`, `HostKeyAlgorithms`).
    pub algorithms: Algorithms,
    /// What a session is like.
    pub session: SessionConfig,
    /// What it says about the program itself.
    pub process: ProcessConfig,
    /// The forwards that the configuration sets (`LocalForward` and its like).
    pub forwards: ConfiguredForwards,
}

/// Where a [`ClientConfig`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// `ssh -G`.
    Ssh,
    /// There is no `ssh`: the flags and OpenSSH's defaults, without any configuration file. Worth
    /// a word to the user, once.
    Defaults,
}

/// A private key to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFile {
    /// Where the private key is; its public half may be beside it with `.pub`.
    pub path: PathBuf,
    /// Whether somebody named it.
    pub origin: IdentityOrigin,
}

/// Whether somebody named a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityOrigin {
    /// By `-i` or `IdentityFile`: worth a warning when it is missing.
    Named,
    /// One of the names that OpenSSH tries by itself: most of them are missing on any machine.
    Default,
}

/// Which agent is asked for keys and signatures (`IdentityAgent`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityAgent {
    /// None.
    None,
    /// The one at this socket.
    Socket(PathBuf),
}

/// What to do about a host key that is not on record. A key that differs from the recorded one is
/// refused with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Refuse it.
    Yes,
    /// Ask a person; refuse it when nobody can be asked. OpenSSH's default.
    Ask,
    /// Take it and put it on record.
    AcceptNew,
    /// As `AcceptNew`: where `ssh` would go on with a changed key, we do not.
    No,
}

/// Whether the record of host keys follows what a server announces, once it has proved that it has
/// the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateHostKeys {
    /// Yes. OpenSSH's default, where `UserKnownHostsFile` is the default, too.
    Yes,
    /// When a person says so.
    Ask,
    /// No.
    No,
}

/// A yes or no of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

/// Which addresses are used, of a server and of ports here (`AddressFamily`).
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

/// A way to log in that we know (RFC 4252, RFC 4256).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum AuthMethod {
    /// A key, of a file or an agent.
    #[strum(serialize = "publickey")]
    PublicKey,
    /// Questions of the server, answered by a person.
    KeyboardInteractive,
    /// A password.
    Password,
}

/// Why it is not known what `ssh` would do, or cannot be done here. Each value is escaped.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    /// `ssh -G` refused the flags or a configuration file, in its own words.
    #[error("{0}")]
    Refused(String),
    #[error("running 'ssh -G' failed: {0}")]
    Run(std::io::Error),
    /// `ssh -G` did not end in time; a `Match exec` of the configuration may hang.
    #[error("'ssh -G' did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The configuration asks for what is not done here. Connecting without it would be something
    /// else than was asked for.
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
    /// A path in the value of a flag is unknown.
    #[error("{flag} '{value}': {why}")]
    Flag {
        /// `-L`, `-R` or `-S`.
        flag: &'static str,
        value: String,
        why: String,
    },
    #[error("ProxyJump: {0}")]
    Jump(InvalidJumpList),
    /// Nothing is left of a configured list.
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
    #[error("-F needs the program ssh, which is not installed")]
    NeedsSsh,
    /// A user name is in neither the flags, the password database nor the environment (USER, LOGNAME).
    #[error("no user name: give one as user@host or with -l")]
    NoUser,
}

impl SshOptions {
    /// The options in their order, with the place of the server's name.
    fn with_name(&self) -> impl Iterator<Item = &Setting> {
        let is_placed = self.options.contains(&Setting::Name);
        self.options.iter().chain((!is_placed).then_some(&Setting::Name))
    }

    /// The key files of all options, in their order.
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

/// One thing that `ssh -G` has refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The configuration file and the line, from 1, where `ssh` names them.
    pub(crate) at: Option<(PathBuf, usize)>,
    pub(crate) what: String,
}

impl ConfigError {
    /// Each refusal by itself, where `ssh` has refused several.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        match self {
            Self::Refused(said) => query::refusals(said),
            other => vec![Refusal { at: None, what: other.to_string() }],
        }
    }
}

impl ClientConfig {
    /// Finds out what `ssh` would do with `name`: runs `ssh -G`, never through a shell.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unsupported`] when the configuration has something without which a connection
    /// would not be the one that was asked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends `ssh`.
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

    /// What the flags and OpenSSH's defaults alone say, without any configuration file.
    pub(crate) fn without_ssh(
        name: &ServerName,
        options: &SshOptions,
    ) -> Result<(Self, ConfigSource), ConfigError> {
        let local = local::Local::from_environment();
        Ok((parse::defaults(name, options, &local)?, ConfigSource::Defaults))
    }
}

impl Switch {
    /// Whether it is on.
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
    /// Its name on the wire and in `PreferredAuthentications`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
