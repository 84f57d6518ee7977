//! Why there is no session: what failed, at which server, and what to do.

use std::process::ExitStatus;
use std::time::Duration;

use russh::AlgorithmKind;

use super::FailureClass;
use super::reach::ReachError;
use crate::destination::InvalidDestination;
use crate::openssh::client_config::{ConfigError, Kind};
use crate::printable::{Lines, printable};
use crate::ssh::session::TargetFault;
use crate::ssh::session::handler::HandlerError;
use crate::ssh::trust::auth::AuthError;
use crate::ssh::trust::host_key::HostKeyError;

/// Why there is no session. Each `address` is a host and port; text from outside is escaped and truncated.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConnectError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error(
        "no answer from {address} within {} s; a firewall may be in between, or the host is down \
         (ConnectTimeout sets the limit)",
        limit.as_secs()
    )]
    NoAnswer { address: String, limit: Duration },
    #[error("the connection cannot be set up: {0}")]
    Socket(std::io::Error),
    #[error("{} is no SSH server that can be spoken to: it says '{said}'; check the host and the port", .address)]
    NotSsh {
        address: String,
        /// The first line that it sent.
        said: String,
    },
    /// The server turns clients away before it sends its identification.
    #[error(
        "{address} turns us away: '{said}'; it has too many clients, or has had too many failures"
    )]
    TurnedAway { address: String, said: String },
    /// The connection ended during the handshake.
    #[error("{address} {}{}", .stage, after_colon(said.as_deref()))]
    Closed { address: String, stage: Stage, said: Option<String> },
    #[error("{0}")]
    NoCommonAlgorithm(Box<NoCommonAlgorithm>),
    /// The host key is not trusted.
    #[error(transparent)]
    HostKey(Box<HostKeyError>),
    /// The server broke the protocol.
    #[error("the handshake failed: {0}")]
    Protocol(String),
    /// The identification, key exchange or login exceeded its limit.
    #[error("{address} did not finish the {stage} within {} s", limit.as_secs())]
    TimedOut { address: String, stage: &'static str, limit: Duration },
    /// The server refuses the login.
    #[error(transparent)]
    Login(#[from] AuthError),
    #[error("the ProxyCommand '{command}' {}{}", ended(*status), after_colon(Some(said)))]
    Command {
        command: String,
        /// Its exit status, if it has ended.
        status: Option<ExitStatus>,
        /// The last line of its standard error.
        said: String,
    },
    #[error("the shell for the ProxyCommand cannot be run (SHELL): {0}")]
    Shell(std::io::Error),
    #[error("at the jump host {hop}: {failure}")]
    Hop {
        hop: String,
        /// Not the source, since the text is complete.
        failure: Box<ConnectError>,
    },
    /// A jump host has no session; its attempts are logged separately.
    #[error("the jump host {hop} has no session: {reason}")]
    HopLost { hop: String, reason: String },
    #[error("the jump host {hop} could not connect to {next}: {}", seen_from_hop(*fault))]
    HopTarget {
        hop: String,
        /// The host and port of the requested connection.
        next: String,
        fault: TargetFault,
    },
    #[error("a jump host cannot be asked for {host}: {why}")]
    Unnameable { host: String, why: InvalidDestination },
    #[error("the jump hosts lead in a circle: {0}; set ProxyJump none for one of them")]
    Circle(String),
    /// A session is no longer wanted.
    #[error("stopped while connecting")]
    Stopped,
    /// `ssh -G` failed for a jump host.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// When a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Stage {
    #[strum(
        to_string = "closed the connection before it said anything; it may be overloaded, or not let this \
                     machine in"
    )]
    Greeting,
    #[strum(to_string = "closed the connection during the key exchange")]
    KeyExchange,
}

/// The client and a server have no algorithm in common.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no common {what} with {address}: offered from here: {ours}; by the server: {theirs}; {hint}"
)]
pub struct NoCommonAlgorithm {
    address: String,
    what: &'static str,
    ours: String,
    theirs: String,
    /// What to do about it.
    hint: String,
}

impl NoCommonAlgorithm {
    fn new(address: String, kind: &AlgorithmKind, ours: &[String], theirs: &[String]) -> Self {
        // Names that signal protocol extensions are no algorithms.
        let is_one =
            |name: &&String| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-");
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (ours.iter().filter(is_one).collect(), theirs.iter().filter(is_one).collect());
        let (what, kind) = match kind {
            AlgorithmKind::Kex => ("key exchange", Some(Kind::KeyExchange)),
            AlgorithmKind::Key => ("type of host key", Some(Kind::HostKey)),
            AlgorithmKind::Cipher => ("cipher", Some(Kind::Cipher)),
            AlgorithmKind::Mac => ("MAC", Some(Kind::Mac)),
            AlgorithmKind::Compression => ("compression", None),
        };
        let hint = match kind {
            None => "Compression in ssh_config says what is offered".to_owned(),
            Some(kind) => {
                let available = kind.available();
                let keyword = kind.keyword();
                let usable = theirs.iter().find(|name| available.contains(name));
                match usable {
                    Some(name) => format!("{keyword} +{name} in ssh_config offers it"),
                    None => "none of the server's is available here".to_owned(),
                }
            }
        };
        Self { address, what, ours: list(&ours), theirs: list(&theirs), hint }
    }
}

impl ConnectError {
    /// Whether a person was needed, and could not be asked or did not answer.
    pub(crate) fn lacked_person(&self) -> bool {
        if let Self::Hop { failure, .. } = self {
            return failure.lacked_person();
        }
        matches!(self, Self::Login(AuthError::PersonNeeded { .. } | AuthError::GivenUp(_)))
    }

    /// How the server may treat another attempt.
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::Reach(_)
            | Self::NoAnswer { .. }
            | Self::Socket(_)
            | Self::Command { .. }
            | Self::Shell(_)
            | Self::HopLost { .. }
            | Self::HopTarget { .. }
            | Self::Unnameable { .. }
            | Self::Circle(_)
            | Self::Config(_)
            | Self::Stopped => FailureClass::Unreachable,
            Self::NotSsh { .. }
            | Self::TurnedAway { .. }
            | Self::Closed { .. }
            | Self::NoCommonAlgorithm(_)
            | Self::Protocol(_)
            | Self::TimedOut { .. } => FailureClass::TurnedAway,
            Self::HostKey(_) | Self::Login(_) => FailureClass::Refused,
            Self::Hop { failure, .. } => failure.class(),
        }
    }

    /// The error as seen through the jump host `hop`. If another jump host before it failed, only that one is
    /// named.
    pub(crate) fn at_hop(self, hop: &str) -> Self {
        match self {
            error @ (Self::Hop { .. }
            | Self::HopLost { .. }
            | Self::HopTarget { .. }
            | Self::Circle(_)) => error,
            error => Self::Hop { hop: name(hop), failure: Box::new(error) },
        }
    }

    /// Whether it says no more than that the connection ended.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Login(AuthError::Disconnected { .. }))
    }

    /// A failed handshake; `head` is the beginning of what the server sent, and `said` its reason for
    /// disconnecting.
    pub(super) fn handshake(
        error: HandlerError,
        address: String,
        head: &[u8],
        said: Option<String>,
    ) -> Self {
        match error {
            HandlerError::HostKey(error) => Self::HostKey(Box::new(error)),
            HandlerError::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => {
                let none = NoCommonAlgorithm::new(address, &kind, &ours, &theirs);
                Self::NoCommonAlgorithm(Box::new(none))
            }
            error => match greeting(head) {
                Greeting::Foreign(said) => Self::foreign(address, said),
                Greeting::None if error.is_end() => {
                    Self::Closed { address, stage: Stage::Greeting, said }
                }
                Greeting::Ssh if error.is_end() => {
                    Self::Closed { address, stage: Stage::KeyExchange, said }
                }
                Greeting::None | Greeting::Ssh => Self::Protocol(error.message()),
            },
        }
    }

    /// A server that does not begin with an SSH identification.
    fn foreign(address: String, said: String) -> Self {
        // Sent by `sshd` instead of its identification, for `MaxStartups` and `PerSourcePenalties`.
        let full = ["Exceeded MaxStartups", "Not allowed at this time"];
        if full.iter().any(|words| said.starts_with(words)) {
            return Self::TurnedAway { address, said };
        }
        Self::NotSsh { address, said }
    }

    /// A handshake that exceeded its limit.
    pub(super) fn late(stage: &'static str, limit: Duration, address: String, head: &[u8]) -> Self {
        match greeting(head) {
            Greeting::Foreign(said) => Self::foreign(address, said),
            Greeting::None | Greeting::Ssh => Self::TimedOut { address, stage, limit },
        }
    }
}

/// How a server begins.
enum Greeting {
    /// It has sent nothing.
    None,
    /// With an SSH identification, possibly after lines of text.
    Ssh,
    /// With something else, of which this is the first line.
    Foreign(String),
}

fn greeting(head: &[u8]) -> Greeting {
    let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return Greeting::None };
    let speaks = |line: &[u8]| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
    if speaks(first) || lines.any(speaks) {
        return Greeting::Ssh;
    }
    let text = String::from_utf8_lossy(first);
    Greeting::Foreign(printable(text.trim_end(), MAX_SAID, Lines::One))
}

fn list(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    printable(&names.join(", "), MAX_LIST, Lines::One)
}

pub(super) fn name(text: &str) -> String {
    printable(text, MAX_NAME, Lines::One)
}

fn after_colon(said: Option<&str>) -> String {
    said.filter(|said| !said.is_empty()).map(|said| format!(": {said}")).unwrap_or_default()
}

fn ended(status: Option<ExitStatus>) -> String {
    match status {
        // `exit status: 1`, `signal: 9 (SIGKILL)`.
        Some(status) => format!("ended with {status} before there was a session"),
        None => "closed the connection before there was a session".to_owned(),
    }
}

/// Why the connection from a jump host to the next server failed.
fn seen_from_hop(fault: TargetFault) -> &'static str {
    match fault {
        TargetFault::Refused => {
            "the connection was refused; check the port, and that the server runs"
        }
        TargetFault::NameNotFound => "the name is not known there; check HostName in ssh_config",
        TargetFault::NoRoute => "there is no route to it from there",
        TargetFault::NetworkUnreachable => "the network cannot be reached from there",
        TargetFault::TimedOut => "it did not answer in time",
        TargetFault::Prohibited => {
            "it is forbidden there (AllowTcpForwarding and PermitOpen in its sshd_config)"
        }
        TargetFault::ServerFull => "it opens no further connection",
        TargetFault::Uncertain => "it does not say why",
    }
}

/// The characters shown of a server's first line.
const MAX_SAID: usize = 200;
/// The characters shown of a list of algorithms.
const MAX_LIST: usize = 600;
/// The characters shown of a name.
const MAX_NAME: usize = 200;
