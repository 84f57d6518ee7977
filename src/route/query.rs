//! The part of a request that rules look at.

use std::net::IpAddr;

use crate::destination::Host;

/// The part of a request that rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The destination's host; none where the destination is a unix socket on the far side.
    pub host: Option<&'a Host>,
    /// The destination's port; none where it is a unix socket.
    pub port: Option<u16>,
    /// The name of the listener that accepted it: as configured, or else its address.
    pub listener: &'a str,
    /// The client's address; none where it came over a unix socket.
    pub source: Option<IpAddr>,
    /// The proxy user, where the listener asks for one.
    pub user: Option<&'a str>,
}
