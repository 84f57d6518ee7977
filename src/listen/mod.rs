//! Accepts connections and reads their requests.
//!
//! ```text
//! Listener ─► ProxyHandler ─► first byte ─┬─► SOCKS4, 4a ─┐
//!                                         ├─► SOCKS5 ─────┼─► Request ─► Connect
//!                                         └─► HTTP ───────┘
//! ```
//!
//! - [`listener`]: the socket and its accept loop.
//! - [`handler`]: what a listener passes its clients to. [`proxy_handler`]: a client of the proxy, from its
//!   first byte to the relay. [`forward_handler`]: a client of a forward, whose target is fixed.
//! - `brake`: limits on what one source repeats.
//! - `greeting`: the time for a client to send its request, and the number of clients that may be at it.
//! - `socks4`, `socks5`, `http`: the protocols. [`DialError`](crate::dial::DialError) knows its code in each.
//! - [`connect`]: the way from a request to its target, as the handlers see it.

mod brake;
pub mod connect;
mod context;
mod detect;
pub mod forward_handler;
mod greeting;
pub mod handler;
mod http;
mod inherited;
mod linger;
pub mod listener;
pub mod proxy_auth;
pub mod proxy_handler;
pub mod remote_handler;
mod socket_file;
mod socket_options;
mod socks;
mod socks4;
mod socks5;
pub mod stream;
#[cfg(test)]
mod testing;
mod tunnel;

pub use brake::Failures;
pub use forward_handler::ForwardHandler;
pub use greeting::GreetingLimits;
pub use handler::{Accepted, Handler};
pub use inherited::Inherited;
pub use listener::Listener;
pub use proxy_auth::{CredentialsError, ProxyCredentials};
pub use proxy_handler::ProxyHandler;
pub use remote_handler::RemoteHandler;
pub(crate) use socket_file::{SocketFile, listen as listen_at};
pub use socket_options::SocketOptions;
