//! Why the program did not start, or failed.

use crate::control::ControlError;
use crate::dashboard::DashboardError;
use crate::dial::DialFailure;
use crate::listen::CredentialsError;
use crate::openssh::ConfigError;
use crate::remote_listener::ListenError;
use crate::ssh::ConnectError;

/// Why the program did not start, or failed. The text includes the cause.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("--proxy-auth: {0}")]
    Credentials(CredentialsError),
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address, as the user named it.
        address: String,
        cause: std::io::Error,
    },
    #[error("cannot write the access log {file}: {cause}")]
    AccessLog {
        /// Its file, as the user named it.
        file: String,
        cause: std::io::Error,
    },
    /// The control socket that the user asked for cannot be bound.
    #[error("no control socket: {0}")]
    Control(ControlError),
    #[error("no dashboard: {0}")]
    Dashboard(DashboardError),
    /// `ssh -G` rejects the host or the options.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The only server cannot be connected to.
    #[error("cannot connect to {server}: {cause}")]
    Connect {
        /// The server, as the user named it.
        server: String,
        cause: ConnectError,
    },
    /// No server can be connected to. The reasons have been logged.
    #[error("none of the {0} servers can be reached")]
    ConnectToAny(usize),
    /// A server refuses a remote forward, and `ExitOnForwardFailure` is set.
    #[error("cannot listen on {place}: {cause}")]
    RemoteListen {
        /// The listening place, in words.
        place: String,
        cause: ListenError,
    },
    #[error("cannot connect to {target}: {cause}")]
    Stdio { target: String, cause: DialFailure },
    #[error("the connection to {target} was cut")]
    StdioCut { target: String },
}

impl Error {
    /// Whether the mistake is in the command line, or in a file that it names.
    pub fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::Credentials(_) | Self::Config(_))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::dial::{DialError, MissingSession, Way};
    use crate::ssh::ReachError;

    use super::*;

    #[test]
    fn an_error_includes_its_cause_once() {
        let no = || io::Error::other("the reason");
        let failure = || {
            let server = MissingSession { server: "box".into(), reason: "the reason".into() };
            let error = DialError::NoSession { servers: vec![server] };
            DialFailure { error, way: Way::default() }
        };
        let reach = ReachError::Resolve { host: "host".into(), reason: no() };
        for error in [
            Error::Listen { address: "/s".into(), cause: no() },
            Error::Config(ConfigError::Run(no())),
            Error::Credentials(CredentialsError::Read { path: "file".into(), cause: no() }),
            Error::Connect { server: "box".into(), cause: reach.into() },
            Error::Stdio { target: "a:1".into(), cause: failure() },
        ] {
            let told = error.to_string();
            assert_eq!(told.matches("the reason").count(), 1, "{told}");
            assert!(std::error::Error::source(&error).is_none(), "{told}");
        }
    }
}
