//! Fixed-destination forwards in ssh's notation: `-L`, `-R` and `-W`. Pure: nothing here opens a socket or
//! resolves a name.
//!
//! ```text
//! -L [bind:]port:host:hostport      listen here, connect from the server      LocalForward
//! -R [bind:]port:host:hostport      listen on the server, connect from here   RemoteForward
//! -R [bind:]port                    the same, and its clients say where to    RemoteForward
//! -W host:port                      standard input and output                 Target
//! ```
//!
//! The path of a unix socket may replace an address and its port on either side. Fields are split as in ssh(1):
//! an IPv6 address has brackets, a backslash makes the next character literal, and a field with a slash is a
//! path. Every type prints what it parses.
//!
//! [`exposure`] checks every listener: who can reach it, and how it is protected.

mod dashboard_address;
mod error;
pub mod exposure;
mod fields;
pub(crate) mod listen_address;
mod local;
mod permit_open;
mod remote;
pub(crate) mod service;
mod socket_files;
mod target;
#[cfg(test)]
mod tests;

pub use dashboard_address::{DashboardAddress, InvalidDashboardAddress};
pub use error::InvalidForward;
pub use listen_address::ListenAddress;
pub use local::{LocalForward, LocalListen};
pub use permit_open::{InvalidPermission, PermitOpen};
pub use remote::{RemoteBind, RemoteForward, RemoteListen, RemoteTo};
pub use socket_files::{SocketFiles, Taken};
