//! The dashboard: a page that shows what the control socket tells, for a browser on this machine. Beside
//! it the part of the Clash API that other dashboards need, and one of those from a folder.
//!
//! ```text
//! browser ──► Listener ──► gate ──┬─► page      /, /dashboard.js, /dashboard.css
//!                                 ├─► Program   /v1, /metrics, /livez, /readyz
//!                                 ├─► clash     /proxies, /connections, /traffic …
//!                                 └─► folder    /ui/
//! ```
//!
//! - `server`: the sockets. `site`: which part answers.
//! - `gate`: whose requests are heard. Other users of the machine can knock, and so can every page in
//!   the user's browser.
//! - `page`: the page, which is in the program. `folder`: files of another one, on disk.
//! - `clash`: the Clash API. `feed`: its streams. `socket`: `WebSockets`.
//!
//! Whoever is let in sees all that there is, can end connections and have the configuration read
//! again. Forwards, the log and the end of the program stay with the control socket: nobody opens
//! anything by the way of a browser.

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
