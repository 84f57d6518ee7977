//! Accepts connections and reads their requests.
//!
//! ```text
//! Listener ─► ProxyHandler ─► first byte ─┬─► SOCKS4, 4a ─┐
//!                                         ├─► SOCKS5 ─────┼─► Request ─► Connect
//!                                         └─► HTTP ───────┘
//! ```
//!
//! - [`listener`]: the socket and its accept loop.
//! - [`handler`]: the interface to which a listener passes its clients. [`proxy_handler`]: a client of the proxy,
//!   from its first byte to the relay. [`forward_handler`]: a client of a forward, whose target is fixed.
//! - `brake`: rate limits per source.
//! - `greeting`: how long a client may take to send its request, and how many may be doing so.
//! - `socks4`, `socks5`, `http`: the protocols. [`DialError`](crate::dial::DialError) has a code in each.
//! - [`connect`]: the connection from a request to its target, as used by the handlers.

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
