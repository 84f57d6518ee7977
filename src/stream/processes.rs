//! Which programs of this machine hold the other ends of our sockets.

use std::net::SocketAddr;

#[cfg(target_os = "linux")]
pub(crate) use linux::{holders, owner_of};
#[cfg(not(target_os = "linux"))]
pub(crate) use unknown::{holders, owner_of};

#[cfg(target_os = "linux")]
mod linux;

/// A program of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name as the system has it, 15 bytes at the most. It chose that itself, and may have put
    /// anything into it: what could deceive is escaped.
    pub name: String,
}

/// Whose a socket of this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "made from tables of Linux"))]
pub(crate) enum Owner {
    User(u32),
    /// Nobody's any more: it was closed, whatever it has sent before. Or it is of another machine.
    Nobody,
    /// The system has no table of its sockets.
    Unknown,
}

/// An address as the two families of sockets have in common.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A system that tells nothing of them.
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
