//! The running program, as observers and the control socket see it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::identify::LookUps;
use super::keys::Keys;
use super::order::Order;
use super::path::Proof;
use super::rates::Rates;
use crate::config::Reloads;
use crate::dial::{CurrentRoutes, Routes};
use crate::listen::connect::Outbound;
use crate::lock::lock;
use crate::observe::logs::Volume;
use crate::pool::PoolView;
use crate::registry::{Event, Registry};

/// The running program. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Program(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) facts: Facts,
    pub(super) registry: Registry,
    pub(super) routes: CurrentRoutes,
    pub(super) connect: Outbound,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) rates: Rates,
    pub(super) look_ups: LookUps,
    pub(super) proofs: Mutex<HashMap<Arc<str>, Proof>>,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    pub(super) run: String,
    pub(super) name: OnceLock<String>,
    front: ArcSwapOption<Front>,
    phase: Mutex<Phase>,
    ended: CancellationToken,
}

/// Facts that do not change while the program runs.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The link to the reloader; `None` for a command line with a host.
    pub reloads: Option<Reloads>,
    /// The handle that changes how much is logged.
    pub volume: Option<Volume>,
}

/// The address of the dashboard, and its keys.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    /// The address, as a URL that ends with a slash.
    pub address: String,
    pub keys: Arc<Keys>,
}

/// The phase of the program's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It connects to the servers for the first time.
    Starting,
    /// It accepts clients.
    Running,
    /// It accepts no more clients, and waits for open connections.
    Draining,
}

impl Front {
    /// The address with a single-use code that admits one browser.
    pub(crate) fn link(&self) -> io::Result<String> {
        Ok(format!("{}?code={}", self.address, self.keys.issue()?.text()))
    }
}

impl Program {
    /// The program with this registry and these routes, which sends orders to `orders`.
    pub(crate) fn new(
        facts: Facts,
        registry: Registry,
        routes: CurrentRoutes,
        connect: Outbound,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        Self(Arc::new(Inner {
            facts,
            registry,
            routes,
            connect,
            orders,
            rates: Rates::default(),
            look_ups: LookUps::default(),
            proofs: Mutex::default(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            run: format!("{:016x}", fastrand::u64(..)),
            name: OnceLock::new(),
            front: ArcSwapOption::empty(),
            phase: Mutex::new(Phase::Starting),
            ended: CancellationToken::new(),
        }))
    }

    /// Sets the name; the first name stays.
    pub(super) fn set_name(&self, name: &str) {
        let _ = self.0.name.set(name.to_owned());
    }

    pub(crate) fn set_front(&self, front: Option<Front>) {
        self.0.front.store(front.map(Arc::new));
    }

    pub(crate) fn front(&self) -> Option<Arc<Front>> {
        self.0.front.load_full()
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.0.routes.load()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        *lock(&self.0.phase) = phase;
    }

    pub(crate) fn phase(&self) -> Phase {
        *lock(&self.0.phase)
    }

    /// Cancelled when only the observers are left to end.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }

    /// The start time, since the epoch.
    pub(super) fn started_at(&self) -> Duration {
        self.0.started_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The link to the reloader.
    pub(super) fn reloads(&self) -> Option<&Reloads> {
        self.0.facts.reloads.as_ref()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Measures rates once a second, for ever.
    pub(crate) async fn beat(&self) {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            beat.tick().await;
            self.0.registry.connections.beat();
            let pools = self.pools();
            let sessions = pools.iter().flat_map(|(_, pool)| &pool.sessions);
            self.0.rates.beat(sessions);
        }
    }

    /// Reports each reload as an event, for ever; returns at once if there are no reloads.
    pub(crate) async fn report_reloads(&self) {
        let Some(reloads) = self.reloads() else { return };
        let tell = |text: String| self.0.registry.events.tell(|| Event::Reloaded(text.into()));
        reloads.each(|outcome| tell(outcome.to_string())).await;
    }

    /// The servers, by name.
    pub(super) fn pools(&self) -> Vec<(Arc<str>, PoolView)> {
        let routes = self.0.routes.load();
        let pools = routes.servers.iter();
        let mut pools: Vec<_> = pools.map(|(name, pool)| (Arc::clone(name), pool.view())).collect();
        pools.sort_by(|(one, _), (other, _)| one.cmp(other));
        pools
    }
}
