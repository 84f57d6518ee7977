//! The control socket of a running program, its API, and the client.
//!
//! ```text
//! sockeye status ──► client ──► NAME.sock ──► server ──► guard ──► api ──► Program
//!                                                                          │  reads the registry and the pools
//!                                                                          └► Order, to whoever runs the program
//! ```
//!
//! - `schema`: the objects of the API, shared by the server and all clients.
//! - `program`: the running program, as the server sees it; `view`, `remark`, `path`, `identify`, `ping`: its state.
//! - `order`: changes of the program, carried out by the task that runs it.
//! - `location`: the paths of the sockets, by which running programs are found.
//! - `guard`: admits only the user, and no browser.
//! - `keys`: the keys to the dashboard; links to it are requested here.

mod access_log;
mod api;
pub(crate) mod client;
mod counts;
mod events;
mod filter;
mod guard;
mod identify;
mod keys;
pub(crate) mod location;
mod metrics;
mod order;
mod path;
mod ping;
mod program;
pub(crate) mod query;
mod rates;
mod remark;
pub(crate) mod reply;
pub(crate) mod schema;
mod server;
#[cfg(test)]
pub(crate) mod testing;
mod view;

pub(crate) use access_log::AccessLog;
pub(crate) use guard::is_user_or_root;
pub(crate) use keys::Keys;
pub(crate) use order::{ForwardKind, ForwardOrder, ForwardRefusal, Order, StopKind};
pub(crate) use program::{Facts, Front, Phase, Program};
pub(crate) use server::{ControlError, ControlServer};
