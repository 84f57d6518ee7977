//! The properties of a request that rules examine.

use std::net::IpAddr;

use crate::destination::Host;

/// The properties of a request that rules examine.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The destination's host; none if the destination is a unix socket on the far side.
    pub host: Option<&'a Host>,
    /// The destination's port; none if it is a unix socket.
    pub port: Option<u16>,
    /// The name of the listener that accepted it: the configured one, or else its address.
    pub listener: &'a str,
    /// The client's address; none if it came over a unix socket.
    pub source: Option<IpAddr>,
    /// The proxy user, if the listener requires one.
    pub user: Option<&'a str>,
}
