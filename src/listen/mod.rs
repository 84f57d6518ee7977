//! How a connection comes in.
//!
//! ```text
//! Listener ─► FrontDoor ─► first byte ─┬─► SOCKS4, 4a ─┐
//!                                      ├─► SOCKS5 ─────┼─► Request ─► Road
//!                                      └─► HTTP ───────┘
//! ```
//!
//! - [`address`]: what the user writes after `-D`; [`listener`]: the socket and its accept loop.
//! - [`door`]: what a listener hands its clients to. [`front_door`]: one client of the proxy, from its
//!   first byte to the relay. [`forward_door`]: one client of a forward, whose target is fixed.
//! - `greeting`: how long a client may take to say what it wants, and how many may be at it.
//! - `socks4`, `socks5`, `http`: the protocols; each has one total mapping of
//!   [`DialError`](crate::dial::DialError).
//! - [`road`]: what lies behind a door, as the door sees it.

mod detect;
pub mod door;
pub mod forward_door;
pub mod front_door;
mod greeting;
mod http;
mod linger;
pub mod listener;
pub mod proxy_auth;
pub mod remote_door;
pub mod road;
mod socket_file;
mod socks;
mod socks4;
mod socks5;
pub mod stream;
#[cfg(test)]
mod testing;

pub use door::{Accepted, Door};
pub use forward_door::ForwardDoor;
pub use front_door::FrontDoor;
pub use greeting::GreetingLimits;
pub use listener::Listener;
pub use proxy_auth::{CredentialsError, ProxyCredentials};
pub use remote_door::RemoteDoor;
