//! Errors of the texts of forwards.

use crate::destination::InvalidDestination;

/// Why a text is not a forward or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForward {
    /// Too many or too few fields for a local forward.
    #[error("not of the form [bind:]port:host:hostport, with a socket's path for either side")]
    LocalForm,
    /// Too many or too few fields for a remote forward.
    #[error(
        "not of the form [bind:]port:host:hostport or [bind:]port, with a socket's path for either \
         side"
    )]
    RemoteForm,
    /// A listener without a target, which `-L` needs.
    #[error("there is no target: write [bind:]port:host:hostport, or -D for a proxy")]
    NoTarget,
    /// Too many or too few fields for an address to listen on.
    #[error("not of the form [bind:]port, nor the path of a socket (write a colon in it as \\:)")]
    ListenForm,
    /// Too many or too few fields for a target.
    #[error("not of the form host:port, nor the path of a socket")]
    TargetForm,
    /// A bracket that is not closed at the end of its field, or a backslash at the end.
    #[error("a bracket is not closed at the end of its field, or a backslash stands at the end")]
    Quoting,
    /// The port to listen on is neither a number from 0 to 65535 nor the name of a TCP service.
    #[error(
        "the port to listen on is neither a number from 0 to 65535 nor a service of /etc/services"
    )]
    ListenPort,
    /// The local bind address names no interface.
    #[error("the bind address is not an IP address (IPv6 in brackets), `localhost` or `*`")]
    Bind,
    /// The remote bind address is not valid.
    #[error("the bind address is longer than 255 bytes, or has spaces, slashes or brackets")]
    RemoteBind,
    /// The host or port to connect to is not valid.
    #[error("the target: {0}")]
    Target(InvalidDestination),
    /// The path of a unix socket has a token or a variable that cannot be replaced.
    #[error(
        "the path of a socket has a token that is none of TOKENS in ssh_config(5), or a variable that \
         is not set"
    )]
    Token,
    /// The path of a unix socket is longer than the system allows.
    #[error("the path of a socket is longer than 107 bytes, or has a NUL")]
    Path,
}
