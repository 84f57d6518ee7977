//! The SSH servers by name and the rules that choose between them, replaced together atomically.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use arc_swap::ArcSwap;

use super::select::Memory;
use crate::pool::Pool;
use crate::route::Router;

/// The routing state of a dial. Immutable: a reload replaces it.
#[derive(Debug)]
pub struct Routes {
    /// The rules.
    pub router: Router,
    /// The servers that the rules name.
    pub servers: Servers,
}

/// The pools by server name.
pub type Servers = HashMap<Arc<str>, Pool>;

/// The current routes. Clones share them.
#[derive(Clone, Debug)]
pub struct CurrentRoutes {
    routes: Arc<ArcSwap<Routes>>,
    replaced: Arc<AtomicU64>,
    /// The last used server of each list, for `Latency`.
    pub(super) memory: Arc<Memory>,
}

impl CurrentRoutes {
    /// Starts with `routes`.
    pub fn new(routes: Routes) -> Self {
        let routes = Arc::new(ArcSwap::from_pointee(routes));
        Self { routes, replaced: Arc::default(), memory: Arc::default() }
    }

    /// Replaces the routes atomically.
    pub fn replace(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
        self.replaced.fetch_add(1, Release);
    }

    /// The number of replacements.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Acquire)
    }

    /// The current routes.
    pub fn load(&self) -> Arc<Routes> {
        self.routes.load_full()
    }
}
