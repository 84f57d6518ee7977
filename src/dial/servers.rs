//! The SSH servers by name and the rules that choose between them, replaced together atomically.

use std::collections::HashMap;
use std::fmt;
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
#[derive(Clone, Debug, Default)]
pub struct Servers {
    pools: HashMap<Arc<str>, Pool>,
}

/// The current routes. Clones share them.
#[derive(Clone)]
pub struct CurrentRoutes {
    routes: Arc<ArcSwap<Routes>>,
    replaced: Arc<AtomicU64>,
    /// The last used server of each list, for `Latency`.
    pub(super) memory: Arc<Memory>,
}

impl Servers {
    /// The pool of a server.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name)
    }

    /// All pools, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Pool)> {
        self.pools.iter()
    }
}

impl FromIterator<(Arc<str>, Pool)> for Servers {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Pool)>>(pools: I) -> Self {
        Self { pools: pools.into_iter().collect() }
    }
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

impl fmt::Debug for CurrentRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentRoutes").field(&self.load()).finish()
    }
}
