//! Orders that change a running program: sent to the task that runs it, and answered when carried out.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::registry::Forward;

#[derive(Debug)]
pub(crate) enum Order {
    /// Adds a forward, for as long as the program runs.
    AddForward(ForwardOrder, oneshot::Sender<Result<Arc<Forward>, ForwardRefusal>>),
    /// Removes the forward with this id. Open connections go on.
    RemoveForward(u64, oneshot::Sender<Result<(), ForwardRefusal>>),
    Stop(StopKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopKind {
    /// Open connections have time to end.
    Drain,
    /// Open connections are cut.
    Now,
}

#[derive(Clone, Debug)]
pub(crate) struct ForwardOrder {
    pub kind: ForwardKind,
    /// The server, if the rules should not decide.
    pub server: Option<Arc<str>>,
    /// Its name in rules.
    pub name: Option<Arc<str>>,
}

/// A forward, in ssh's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwardKind {
    /// `-L`.
    Local(LocalForward),
    /// `-R`.
    Remote(RemoteForward),
    /// `-D`.
    Dynamic(LocalListen),
}

/// Why a forward was not added or removed.
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
    /// The server does not listen there.
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
