//! What a service manager is told (`sd_notify(3)`). Where there is none nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::summary::Summary;
use crate::dial::CurrentRoutes;
use crate::registry::Registry;
use crate::task;

/// The configuration is read again from now on, until [`ready`] is told.
pub fn reloading() {
    // The time tells systemd that this answers its signal and not an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no clock"),
    }
}

/// It serves, or serves again after a reload, whatever came of that.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It serves nobody new.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("waiting for what runs to end")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a manager this does nothing.
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager was not told");
    }
}

/// Keeps the manager's line of status true and its watchdog quiet, for as long as this lives.
#[derive(Debug)]
pub(super) struct Reports {
    status: Option<AbortOnDropHandle<()>>,
    _watchdog: Option<AbortOnDropHandle<()>>,
}

impl Reports {
    /// Starts, where there is a manager that wants to know.
    pub(super) fn start(routes: CurrentRoutes, registry: Registry) -> Self {
        let status = std::env::var_os("NOTIFY_SOCKET").map(|_| report(routes, registry.clone()));
        let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
        let watchdog = limit.map(|limit| watch(registry, limit));
        Self { status: status.map(task::spawn), _watchdog: watchdog.map(task::spawn) }
    }

    /// Tells the manager that the program stops, which stands until it has ended.
    pub(super) fn stopping(&mut self) {
        self.status = None;
        stopping();
    }
}

/// Tells what the program is like, whenever that is new.
async fn report(routes: CurrentRoutes, registry: Registry) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        every.tick().await;
        let routes = routes.load();
        let servers = routes.servers.iter().map(|(name, pool)| (&**name, pool.view()));
        let now = Summary::of(servers, registry.connections.count());
        if told.as_ref() != Some(&now) {
            tell(&[NotifyState::Status(&now.to_string())]);
            told = Some(now);
        }
    }
}

/// Says that the program lives, twice in each `limit`, as long as its runtime gets round and nobody
/// holds the table of connections. What the network does is no part of it.
async fn watch(registry: Registry, limit: Duration) {
    let mut every = interval(limit / 2);
    loop {
        every.tick().await;
        registry.connections.count();
        tell(&[NotifyState::Watchdog]);
    }
}

/// How often the line of status may change.
const EVERY: Duration = Duration::from_secs(1);
