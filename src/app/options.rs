//! What to run, validated and complete.

use std::sync::Arc;

use tracing::warn;

use super::Error;
use crate::config::DashboardConfig;
use crate::control::location::Location;
use crate::control::{AccessLog, Facts};
use crate::dial::Routing;
use crate::forward::ListenAddress;
use crate::forward::listen_address::Bind;
use crate::forward::{PermitOpen, RemoteForward, RemoteTo};
use crate::listen::{Inherited, ProxyCredentials, SocketOptions};
use crate::openssh::{ClientConfig, ConfigSource, ServerName, SshOptions};
use crate::pool::PoolSize;
use crate::registry::{ForwardKind, NewForward, Origin};
use crate::relay::BacklogLimits;
use crate::route::{Action, Router, Via};
use crate::target::Target;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SSH servers; no two have the same name.
    pub servers: Vec<ServerOptions>,
    /// The rules and their default.
    pub router: Router,
    /// The local listeners. If two have the same address, the second fails.
    pub listeners: Vec<ListenerOptions>,
    /// The remote forwards (`-R`).
    pub remote_forwards: Vec<RemoteOptions>,
    /// The target of standard input and output (`-W`). The program ends with that connection.
    pub stdio: Option<Target>,
    /// Limits on data buffered for slow clients. A reload does not change them.
    pub backlog: BacklogLimits,
    /// How the sockets of listeners are made.
    pub sockets: SocketOptions,
    /// What to do when a forward fails at start.
    pub on_forward_failure: OnForwardFailure,
    /// Sockets from the service manager, for the listeners with their name or address.
    pub inherited: Inherited,
    /// The control socket, access log and dashboard. A reload changes the dashboard only.
    pub control: ControlOptions,
}

/// How the program is observed and controlled.
#[derive(Clone, Debug, Default)]
pub struct ControlOptions {
    /// The control socket; none by default.
    pub location: Location,
    /// Facts that do not change while the program runs.
    pub facts: Facts,
    /// The access log; none by default.
    pub access_log: Option<AccessLog>,
    /// The dashboard; none by default.
    pub dashboard: Option<DashboardConfig>,
}

/// An SSH server and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Its name in the rules.
    pub name: Arc<str>,
    /// How to reach it.
    pub config: ClientConfig,
    /// The pool size; the default depends on the kind of login.
    pub sessions: Option<PoolSize>,
}

/// A local listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Who asked for it.
    pub origin: Origin,
    /// Where it listens.
    pub address: ListenAddress,
    /// Its name in rules; defaults to the printed address.
    pub name: Option<Arc<str>>,
    /// What it serves.
    pub service: Service,
}

/// What a listener serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// A proxy.
    Proxy {
        /// Who may use it; everyone who can reach it, if unset.
        credentials: Option<Arc<ProxyCredentials>>,
    },
    /// One target (`-L`).
    Forward {
        /// Where it leads.
        to: Target,
        /// The servers that may carry it; if unset, the rules decide.
        via: Option<Arc<Via>>,
    },
}

/// A listener or a remote forward, by the side that listens.
#[derive(Debug)]
pub enum ForwardOptions {
    /// On this machine.
    Here(ListenerOptions),
    /// On a server.
    OnServer(RemoteOptions),
}

/// A remote forward (`-R`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Who asked for it.
    pub origin: Origin,
    /// The server's name.
    pub server: Arc<str>,
    /// Its name in rules; defaults to the listen address as the user wrote it.
    pub name: Option<Arc<str>>,
    /// Where it listens, and the target.
    pub forward: RemoteForward,
    /// The destinations that its clients may reach, if it is a proxy.
    pub permit: PermitOpen,
    /// Who may use it, if it is a proxy; everyone who can reach it, if unset.
    pub credentials: Option<Arc<ProxyCredentials>>,
}

/// What to do when a forward fails at start (`ExitOnForwardFailure`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnForwardFailure {
    /// Log it, and go on. ssh's default.
    #[default]
    GoOn,
    /// End the program.
    Exit,
}

impl Options {
    /// Nothing but these servers and rules; the rest is as by default.
    pub fn new(servers: Vec<ServerOptions>, router: Router) -> Self {
        Self {
            servers,
            router,
            listeners: Vec::new(),
            remote_forwards: Vec::new(),
            stdio: None,
            backlog: BacklogLimits::default(),
            sockets: SocketOptions::default(),
            on_forward_failure: OnForwardFailure::default(),
            inherited: Inherited::default(),
            control: ControlOptions::default(),
        }
    }
}

impl ServerOptions {
    /// Asks `ssh` how to reach `server`, without contacting the server.
    pub async fn query(
        name: Arc<str>,
        server: &ServerName,
        ssh: &SshOptions,
        sessions: Option<PoolSize>,
    ) -> Result<Self, Error> {
        let (config, source) = ClientConfig::query(server, ssh).await?;
        if source == ConfigSource::Defaults {
            warn!(
                "there is no ssh on the PATH: ssh_config is not read, only the flags and the defaults apply"
            );
        }
        Ok(Self { name, config, sessions })
    }

    /// The destinations that a proxy on a server permits, according to the server's configuration
    /// (`PermitRemoteOpen`).
    pub(crate) fn permit<'a>(
        servers: impl IntoIterator<Item = &'a Self>,
        name: &str,
    ) -> PermitOpen {
        let server = servers.into_iter().find(|server| *server.name == *name);
        server.map(|s| s.config.forwards.permit_remote_open.clone()).unwrap_or_default()
    }
}

impl Service {
    /// The routing of its requests.
    pub(crate) fn routing(&self) -> Routing {
        match self {
            Self::Forward { via: Some(via), .. } => Routing::Fixed(Action::Via(Arc::clone(via))),
            Self::Forward { via: None, .. } | Self::Proxy { .. } => Routing::Rules,
        }
    }
}

impl ListenerOptions {
    /// A proxy from the command line, without a password or a name.
    pub fn proxy(address: ListenAddress) -> Self {
        Self {
            origin: Origin::CommandLine,
            address,
            name: None,
            service: Service::Proxy { credentials: None },
        }
    }

    /// Its name in rules, if that is not the address of the socket.
    pub(super) fn name_in_rules(&self) -> Option<Arc<str>> {
        let own = self.address.to_string();
        let is_looked_up = matches!(self.address, ListenAddress::Tcp { bind: Bind::Name(_), .. });
        self.name.clone().or(is_looked_up.then(|| own.into()))
    }

    pub(super) fn entry(&self) -> NewForward {
        let (kind, spec) = match &self.service {
            Service::Proxy { .. } => (ForwardKind::Dynamic, self.address.to_string()),
            Service::Forward { to, .. } => (ForwardKind::Local, format!("{}:{to}", self.address)),
        };
        let (origin, name) = (self.origin, self.name_in_rules());
        NewForward { kind, origin, name, spec: spec.into(), server: None, listen: None }
    }
}

impl RemoteOptions {
    /// The routing of its requests.
    pub(crate) fn routing(&self) -> Routing {
        // A target that the user has named needs no permission, as in ssh.
        Routing::RulesOrDirect(match self.forward.to {
            RemoteTo::Fixed(_) => PermitOpen::Any,
            RemoteTo::Proxy => self.permit.clone(),
        })
    }

    pub(super) fn entry(&self) -> NewForward {
        NewForward {
            kind: ForwardKind::Remote,
            origin: self.origin,
            name: self.name.clone(),
            spec: self.forward.to_string().into(),
            server: Some(Arc::clone(&self.server)),
            listen: Some(self.forward.listen.to_string().into()),
        }
    }
}
