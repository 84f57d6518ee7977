//! What changes a running program: sent to whoever runs it, and answered when it is done.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::registry::Forward;

/// Something to be done.
#[derive(Debug)]
pub(crate) enum Order {
    /// Another forward, for as long as the program runs.
    AddForward(ForwardOrder, oneshot::Sender<Result<Arc<Forward>, ForwardRefusal>>),
    /// The forward with this number takes nobody any more. What came in goes on.
    RemoveForward(u64, oneshot::Sender<Result<(), ForwardRefusal>>),
    Stop(StopKind),
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopKind {
    /// What runs may go on for a while.
    Drain,
    /// What runs is cut.
    Now,
}

#[derive(Clone, Debug)]
pub(crate) struct ForwardOrder {
    /// Which.
    pub kind: ForwardKind,
    /// The server, where the rules are not to say.
    pub server: Option<Arc<str>>,
    /// What the rules are to call it.
    pub name: Option<Arc<str>>,
}

/// A forward as ssh writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwardKind {
    /// `-L`.
    Local(LocalForward),
    /// `-R`.
    Remote(RemoteForward),
    /// `-D`.
    Dynamic(LocalListen),
}

/// Why a forward is not there, or not gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardRefusal {
    #[error("cannot listen on {address}: {reason}")]
    Address {
        /// The address, as the user named it.
        address: String,
        reason: String,
    },
    #[error("there is a listener at {0} already")]
    Taken(String),
    /// The server does not listen there for us.
    #[error("{0}")]
    Server(String),
    #[error("there is no server {wanted}; the servers are {known}")]
    NoServer { wanted: String, known: String },
    #[error("name one of the servers {0} for it")]
    WhichServer(String),
    #[error(
        "other machines could use this proxy, and nobody asks them for a password; listen on loopback, \
         or put it into the configuration with a password"
    )]
    OpenToAll,
    #[error("there is no forward {0}")]
    Unknown(u64),
    #[error("it is in the configuration file: take it out there, and reload")]
    Configured,
    #[error("the program is about to end")]
    Ending,
}
