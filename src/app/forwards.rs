//! Forwards that were added or removed at run time.

use std::sync::Arc;

use super::options::{
    ForwardOptions, ListenerOptions, Options, RemoteOptions, ServerOptions, Service,
};
use crate::control::{ForwardKind, ForwardOrder, ForwardRefusal};
use crate::dial::Servers;
use crate::forward::PermitOpen;
use crate::forward::exposure::{Guard, Welcome, admit_proxy, admit_remote};
use crate::forward::listen_address::Bind;
use crate::listen::ProxyCredentials;
use crate::registry::Origin;
use crate::route::{Select, Via};

/// The run-time changes to the forwards of the configuration and the command line. A reload does not undo them.
#[derive(Clone, Debug, Default)]
pub(super) struct RunTimeChanges {
    pub(super) listeners: Changes<ListenerOptions>,
    pub(super) remotes: Changes<RemoteOptions>,
}

/// The forwards that were added, and those of the command line that were removed.
#[derive(Clone, Debug)]
pub(super) struct Changes<T> {
    pub(super) added: Vec<T>,
    removed: Vec<T>,
}

impl RunTimeChanges {
    /// Applies the changes to `options`, and returns those that remain in force: once the configuration contains
    /// a forward that was added, the configuration alone decides on it.
    pub(super) fn apply(&self, options: &mut Options) -> Self {
        let mut remaining = self.clone();
        options.listeners.retain(|listener| !self.listeners.removed.contains(listener));
        options.remote_forwards.retain(|forward| !self.remotes.removed.contains(forward));
        remaining.listeners.added.retain(|added| {
            options.listeners.iter().all(|listener| listener.address != added.address)
        });
        let same = |one: &RemoteOptions, other: &RemoteOptions| {
            one.server == other.server && one.forward.listen.collides_with(&other.forward.listen)
        };
        remaining
            .remotes
            .added
            .retain(|added| options.remote_forwards.iter().all(|forward| !same(forward, added)));
        options.listeners.extend(remaining.listeners.added.iter().cloned());
        for added in &remaining.remotes.added {
            let permit = ServerOptions::permit(&options.servers, &added.server);
            options.remote_forwards.push(RemoteOptions { permit, ..added.clone() });
        }
        remaining
    }
}

impl<T: Clone + PartialEq> Changes<T> {
    /// Removes a forward, unless it belongs to the configuration.
    pub(super) fn remove(&mut self, one: &T, origin: Origin) -> Result<(), ForwardRefusal> {
        match origin {
            Origin::Configuration => return Err(ForwardRefusal::Configured),
            Origin::CommandLine => self.removed.push(one.clone()),
            Origin::RunTime => self.added.retain(|added| added != one),
        }
        Ok(())
    }
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { added: Vec::new(), removed: Vec::new() }
    }
}

/// Validates an order. A proxy requires the same password as the other proxies; a proxy on a server
/// reaches no further than `permit` allows for that server.
pub(super) fn validate(
    order: ForwardOrder,
    servers: &Servers,
    permit: impl Fn(&str) -> PermitOpen,
    credentials: Option<Arc<ProxyCredentials>>,
) -> Result<ForwardOptions, ForwardRefusal> {
    let ForwardOrder { kind, server, name } = order;
    let mut names: Vec<_> = servers.keys().cloned().collect();
    names.sort();
    if let Some(wanted) = server.as_ref().filter(|wanted| !names.contains(wanted)) {
        let (wanted, known) = (wanted.to_string(), names.join(", "));
        return Err(ForwardRefusal::NoServer { wanted, known });
    }
    let guard = Guard::new(credentials.as_ref(), Welcome::Unsaid);
    let open = |_| ForwardRefusal::OpenToAll;
    let origin = Origin::RunTime;
    Ok(match kind {
        ForwardKind::Local(forward) => {
            let via = server
                .map(|server| Arc::new(Via { servers: vec![server], select: Select::default() }));
            let address = forward.listen.address(&Bind::Loopback);
            let service = Service::Forward { to: forward.to, via };
            ForwardOptions::Here(ListenerOptions { origin, address, name, service })
        }
        ForwardKind::Dynamic(listen) => {
            let address = listen.address(&Bind::Loopback);
            admit_proxy(&address, guard).map_err(open)?;
            ForwardOptions::Here(ListenerOptions {
                origin,
                address,
                name,
                service: Service::Proxy { credentials },
            })
        }
        ForwardKind::Remote(forward) => {
            admit_remote(&forward, guard).map_err(open)?;
            let server = match (server, names.as_slice()) {
                (Some(server), _) => server,
                (None, [only]) => Arc::clone(only),
                (None, _) => return Err(ForwardRefusal::WhichServer(names.join(", "))),
            };
            let permit = permit(&server);
            ForwardOptions::OnServer(RemoteOptions {
                origin,
                server,
                name,
                forward,
                permit,
                credentials,
            })
        }
    })
}
