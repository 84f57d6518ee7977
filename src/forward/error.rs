//! Errors in the texts of forwards.

use crate::destination::InvalidDestination;

/// Why a text is neither a forward nor a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidForward {
    #[error("not of the form [bind:]port:host:hostport, with a socket's path for either side")]
    LocalForm,
    #[error(
        "not of the form [bind:]port:host:hostport or [bind:]port, with a socket's path for either \
         side"
    )]
    RemoteForm,
    #[error("there is no target: write [bind:]port:host:hostport, or -D for a proxy")]
    NoTarget,
    #[error("not of the form [bind:]port, nor the path of a socket (write a colon in it as \\:)")]
    ListenForm,
    #[error("not of the form host:port, nor the path of a socket")]
    TargetForm,
    #[error("a bracket is not closed at the end of its field, or a backslash stands at the end")]
    Quoting,
    #[error(
        "the port to listen on is neither a number from 0 to 65535 nor a service of /etc/services"
    )]
    ListenPort,
    #[error("the bind address is not an IP address (IPv6 in brackets), a host name or `*`")]
    Bind,
    #[error("the bind address is longer than 255 bytes, or has spaces, slashes or brackets")]
    RemoteBind,
    #[error("the target: {0}")]
    Target(InvalidDestination),
    #[error(
        "the path of a socket has a token that is none of TOKENS in ssh_config(5), or a variable that \
         is not set"
    )]
    Token,
    #[error("the path of a socket is longer than 107 bytes, or has a NUL")]
    Path,
}
