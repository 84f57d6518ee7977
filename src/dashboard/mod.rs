//! The dashboard: a web page that shows the state of the program in a local browser. It also serves the
//! part of the Clash API that other dashboards need, and one such dashboard from a folder.
//!
//! ```text
//! browser ──► Listener ──► gate ──┬─► page      /, /dashboard.js, /dashboard.css
//!                                 ├─► Program   /v1, /metrics, /livez, /readyz
//!                                 ├─► clash     /proxies, /connections, /traffic …
//!                                 └─► folder    /ui/
//! ```
//!
//! - `server`: the sockets. `site`: routes requests to the parts.
//! - `gate`: access control, against other users of the machine and against other pages in the user's
//!   browser.
//! - `page`: the built-in page. `folder`: the files of another one, on disk.
//! - `clash`: the Clash API. `feed`: its streams. `socket`: `WebSockets`.
//!
//! An admitted client sees everything, can end connections and can reload the configuration.
//! Forwards, the log level and the end of the program are reserved to the control socket, so that
//! nothing can be opened through a browser.

mod clash;
mod feed;
mod folder;
mod gate;
mod page;
pub(crate) mod server;
mod site;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use server::{DashboardError, DashboardServer};
