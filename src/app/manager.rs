//! Notifications to a service manager (`sd_notify(3)`), if there is one.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::summary::summary;
use crate::dial::CurrentRoutes;
use crate::registry::Registry;
use crate::task;

/// Reports that a reload begins; [`ready`] reports its end.
pub(crate) fn reloading() {
    // The timestamp tells systemd that this answers its present signal and not an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no clock"),
    }
}

/// Reports that the program is serving, or that a reload has ended, successfully or not.
pub(crate) fn ready() {
    send(&[NotifyState::Ready]);
}

fn send(states: &[NotifyState<'_>]) {
    // This does nothing without a manager.
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager was not notified");
    }
}

/// Keeps the status line up to date and feeds the watchdog, until it is dropped.
#[derive(Debug)]
pub(super) struct Reports {
    status: Option<AbortOnDropHandle<()>>,
    _watchdog: Option<AbortOnDropHandle<()>>,
}

impl Reports {
    /// Starts the reports that the manager asks for.
    pub(super) fn start(routes: CurrentRoutes, registry: Registry) -> Self {
        let status = std::env::var_os("NOTIFY_SOCKET").map(|_| report(routes, registry.clone()));
        let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
        let watchdog = limit.map(|limit| watch(registry, limit));
        Self { status: status.map(task::spawn), _watchdog: watchdog.map(task::spawn) }
    }

    /// Reports that the program is stopping and accepts no more clients; the status line does not change after that.
    pub(super) fn stopping(&mut self) {
        self.status = None;
        send(&[NotifyState::Stopping, NotifyState::Status("waiting for connections to end")]);
    }
}

/// Sends the status line whenever it changes.
async fn report(routes: CurrentRoutes, registry: Registry) {
    let mut every = task::every(EVERY);
    let mut sent = String::new();
    loop {
        every.tick().await;
        let routes = routes.load();
        let views = routes.servers.iter().map(|(name, pool)| (name, pool.view()));
        let servers = views.map(|(name, view)| (&**name, view.availability, view.reason));
        let now = summary(servers, registry.connections.count());
        if sent != now {
            send(&[NotifyState::Status(&now)]);
            sent = now;
        }
    }
}

/// Feeds the watchdog twice per `limit`, as long as the runtime is responsive and the table of connections is
/// not locked. The state of the network does not matter.
async fn watch(registry: Registry, limit: Duration) {
    let mut every = interval(limit / 2);
    loop {
        every.tick().await;
        registry.connections.count();
        send(&[NotifyState::Watchdog]);
    }
}

/// The shortest time between two changes of the status line.
const EVERY: Duration = Duration::from_secs(1);
