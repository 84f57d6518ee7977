//! The local programs that hold the other ends of sockets.

use std::net::SocketAddr;

#[cfg(target_os = "linux")]
pub(crate) use linux::{holders, owner_of};
#[cfg(not(target_os = "linux"))]
pub(crate) use unknown::{holders, owner_of};

#[cfg(target_os = "linux")]
mod linux;

/// A local program.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// Its name according to the system, at most 15 bytes. The program chooses it freely, so that it is escaped.
    pub name: String,
}

/// The owner of a local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "made from tables of Linux"))]
pub(crate) enum Owner {
    User(u32),
    /// None: the socket was closed, whatever it has sent before, or belongs to another machine.
    Nobody,
    /// The system offers no table of its sockets.
    Unknown,
}

/// An address in the form that both address families have in common.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A system without tables of sockets.
#[cfg(not(target_os = "linux"))]
mod unknown {
    use std::collections::{HashMap, HashSet};
    use std::net::SocketAddr;

    use super::{Owner, Process};

    pub(crate) fn holders(
        _: &HashSet<SocketAddr>,
        _: &HashSet<u16>,
    ) -> HashMap<SocketAddr, Process> {
        HashMap::new()
    }

    pub(crate) fn owner_of(_: SocketAddr, _: u16) -> Owner {
        Owner::Unknown
    }
}
