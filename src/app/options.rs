//! What to run, judged and complete.

use std::sync::Arc;

use tracing::warn;

use super::Error;
use crate::config::DashboardConfig;
use crate::control::location::Location;
use crate::control::{AccessLog, Facts};
use crate::forward::ListenAddress;
use crate::forward::{PermitOpen, RemoteForward, SocketFiles};
use crate::listen::{Inherited, ProxyCredentials};
use crate::openssh::{ClientConfig, ConfigSource, ServerName, SshOptions};
use crate::pool::PoolSize;
use crate::registry::{NewPlace, Origin, PlaceKind};
use crate::relay::BacklogLimits;
use crate::route::{Router, Via};
use crate::target::Target;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SSH servers; no two have the same name.
    pub servers: Vec<ServerOptions>,
    /// The rules, and what becomes of requests that none of them names.
    pub router: Router,
    /// Where clients come in. Of two with the same address the second cannot be had.
    pub listeners: Vec<ListenerOptions>,
    /// Where clients of the servers come in (`-R`).
    pub remote_forwards: Vec<RemoteOptions>,
    /// What standard input and output are connected to (`-W`). When that is over, so is the program.
    pub stdio: Option<Target>,
    /// Bounds on what waits for slow clients. A reload does not change them.
    pub backlog: BacklogLimits,
    /// How the files of unix sockets are made.
    pub sockets: SocketFiles,
    /// What becomes of a forward that cannot be had at start.
    pub on_forward_failure: OnForwardFailure,
    /// Sockets that are bound already, for the listeners whose name or address they have.
    pub inherited: Inherited,
    /// How it is looked at and steered. Of this a reload changes the dashboard alone.
    pub control: ControlOptions,
}

/// How a program is looked at and steered.
#[derive(Clone, Debug, Default)]
pub struct ControlOptions {
    /// Where its control socket is to be; by default nowhere.
    pub location: Location,
    /// What does not change while it runs.
    pub facts: Facts,
    /// Where each request that is over is told; by default nowhere.
    pub access_log: Option<AccessLog>,
    /// The page for a browser; by default there is none.
    pub dashboard: Option<DashboardConfig>,
}

/// An SSH server and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// What the rules call it.
    pub name: Arc<str>,
    /// How to reach it.
    pub config: ClientConfig,
    /// How many sessions; by default as its login allows.
    pub sessions: Option<PoolSize>,
}

/// A place on this machine where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Who asked for it.
    pub origin: Origin,
    /// Where it is.
    pub address: ListenAddress,
    /// What the rules call it; without it its address, as it is printed.
    pub name: Option<Arc<str>>,
    /// What its clients find.
    pub service: Service,
}

/// What the clients of a listener find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// A proxy.
    Proxy {
        /// Who may use it; without it everybody who reaches it.
        credentials: Option<Arc<ProxyCredentials>>,
    },
    /// One target (`-L`).
    Forward {
        /// Where it leads.
        to: Target,
        /// Which servers carry it; without it the rules say.
        via: Option<Arc<Via>>,
    },
}

/// A place on a server where clients come in (`-R`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Who asked for it.
    pub origin: Origin,
    /// The server's name.
    pub server: Arc<str>,
    /// What the rules call it; without it where the server listens, as the user wrote it.
    pub name: Option<Arc<str>>,
    /// Where it listens, and where its clients are led to.
    pub forward: RemoteForward,
    /// Where its clients may be led to, where it is a proxy.
    pub permit: PermitOpen,
    /// Who may use it, where it is a proxy; without it everybody who reaches it.
    pub credentials: Option<Arc<ProxyCredentials>>,
}

/// What becomes of a forward that cannot be had at start (`ExitOnForwardFailure`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnForwardFailure {
    /// It is told, and the others go on. ssh's default.
    #[default]
    GoOn,
    /// The program ends.
    Exit,
}

impl ServerOptions {
    /// Asks `ssh` how to reach `server`; nothing is sent to it.
    ///
    /// # Errors
    ///
    /// `ssh` does not take the host or the options.
    pub async fn query(
        name: Arc<str>,
        server: &ServerName,
        ssh: &SshOptions,
        sessions: Option<PoolSize>,
    ) -> Result<Self, Error> {
        let (config, source) = ClientConfig::query(server, ssh).await?;
        if source == ConfigSource::Defaults {
            warn!(
                "there is no ssh on the PATH: ssh_config is not read, the flags and defaults count"
            );
        }
        Ok(Self { name, config, sessions })
    }

    /// Where the clients of a proxy on a server may be led to, by what its configuration says
    /// (`PermitRemoteOpen`).
    pub(crate) fn permit<'a>(
        servers: impl IntoIterator<Item = &'a Self>,
        name: &str,
    ) -> PermitOpen {
        let server = servers.into_iter().find(|server| *server.name == *name);
        server.map(|s| s.config.forwards.permit_remote_open.clone()).unwrap_or_default()
    }
}

impl ListenerOptions {
    /// A proxy of the command line for everybody who reaches it, without a name of its own.
    pub fn proxy(address: ListenAddress) -> Self {
        Self {
            origin: Origin::CommandLine,
            address,
            name: None,
            service: Service::Proxy { credentials: None },
        }
    }

    /// What is told of it.
    pub(super) fn place(&self) -> NewPlace {
        let (kind, spec) = match &self.service {
            Service::Proxy { .. } => (PlaceKind::Dynamic, self.address.to_string()),
            Service::Forward { to, .. } => (PlaceKind::Local, format!("{}:{to}", self.address)),
        };
        let (origin, name) = (self.origin, self.name.clone());
        NewPlace { kind, origin, name, spec: spec.into(), server: None }
    }
}

impl RemoteOptions {
    /// What is told of it.
    pub(super) fn place(&self) -> NewPlace {
        NewPlace {
            kind: PlaceKind::Remote,
            origin: self.origin,
            name: self.name.clone(),
            spec: self.forward.to_string().into(),
            server: Some(Arc::clone(&self.server)),
        }
    }
}
