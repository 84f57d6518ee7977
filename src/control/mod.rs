//! The control socket of a running program, what it says, and who speaks to it.
//!
//! ```text
//! sockeye status ──► client ──► NAME.sock ──► server ──► guard ──► api ──► Program
//!                                                                          │  reads the registry and the pools
//!                                                                          └► Order, to whoever runs the program
//! ```
//!
//! - `schema`: what is said, the same for all who listen.
//! - `program`: the running program as the server sees it; `view`, `remark`, `path`, `identify`, `ping`: what it tells.
//! - `order`: what changes the program, done by whoever runs it.
//! - `location`: where the sockets are, and which programs run.
//! - `guard`: nobody but the user, and no browser.
//! - `keys`: what opens the dashboard, of which a link is asked for here.

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
