//! Notifications to a service manager (`sd_notify(3)`); none where there is no manager.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::summary::Summary;
use crate::dial::CurrentRoutes;
use crate::registry::Registry;
use crate::task;

/// A reload begins; it ends with [`ready`].
pub(crate) fn reloading() {
    // The time tells systemd that this answers its signal and not an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no clock"),
    }
}

/// The program serves; or a reload has ended, successful or not.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The program stops and accepts no more clients.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("waiting for connections to end")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a manager this does nothing.
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
    /// Starts, where a manager asks for it.
    pub(super) fn start(routes: CurrentRoutes, registry: Registry) -> Self {
        let status = std::env::var_os("NOTIFY_SOCKET").map(|_| report(routes, registry.clone()));
        let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
        let watchdog = limit.map(|limit| watch(registry, limit));
        Self { status: status.map(task::spawn), _watchdog: watchdog.map(task::spawn) }
    }

    /// Reports that the program stops; the status line does not change after that.
    pub(super) fn stopping(&mut self) {
        self.status = None;
        stopping();
    }
}

/// Sends the status line whenever it has changed.
async fn report(routes: CurrentRoutes, registry: Registry) {
    let mut every = task::every(EVERY);
    let mut sent = None;
    loop {
        every.tick().await;
        let routes = routes.load();
        let servers = routes.servers.iter().map(|(name, pool)| (&**name, pool.view()));
        let now = Summary::of(servers, registry.connections.count());
        if sent.as_ref() != Some(&now) {
            tell(&[NotifyState::Status(&now.to_string())]);
            sent = Some(now);
        }
    }
}

/// Feeds the watchdog twice in each `limit`, as long as the runtime is responsive and the table of connections
/// is not locked. The state of the network does not matter.
async fn watch(registry: Registry, limit: Duration) {
    let mut every = interval(limit / 2);
    loop {
        every.tick().await;
        registry.connections.count();
        tell(&[NotifyState::Watchdog]);
    }
}

/// How often the status line may change.
const EVERY: Duration = Duration::from_secs(1);
