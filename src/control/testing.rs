//! A program without clients, for tests.

use tokio::sync::mpsc;

use super::{Facts, Program};
use crate::dial::{CurrentRoutes, DEADLINE, Dialer, Routes, Routing, Servers};
use crate::listen::connect::Outbound;
use crate::registry::Registry;
use crate::relay::{BacklogLimits, Relayer};
use crate::route::{Action, Router};

/// A program without servers and listeners, which rejects all requests.
pub(crate) fn program() -> (Program, Outbound) {
    program_with(Action::Reject)
}

/// A program whose rules are this default, and the connector that its listeners would use.
pub(crate) fn program_with(default: Action) -> (Program, Outbound) {
    let rules = Router::new(Vec::new(), default);
    let routes = CurrentRoutes::new(Routes { router: rules, servers: Servers::default() });
    let registry = Registry::default();
    let connect = Outbound {
        dialer: Dialer::new(routes.clone(), DEADLINE),
        routing: Routing::Rules,
        relayer: Relayer::new(BacklogLimits::default()),
        connections: registry.connections.clone(),
    };
    let (orders, _) = mpsc::channel(1);
    (Program::new(Facts::default(), registry, routes, connect.clone(), orders), connect)
}
