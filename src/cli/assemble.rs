//! From a command line to what runs: what `ssh_config` says about the host is put together with the
//! flags.

use std::sync::Arc;

use super::command::{GatewayPorts, ProxyCommand};
use crate::app::{
    Error, ListenerOptions, OnForwardFailure, Options, RemoteOptions, ServerOptions, Service,
};
use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::listen::address::Bind;
use crate::listen::{ListenAddress, ProxyCredentials};
use crate::route::Router;
use crate::ssh::{ConfiguredForwards, Switch};

/// What a proxy in front of one server runs.
///
/// # Errors
///
/// `ssh` does not take the host or the options, or the file of `--proxy-auth` cannot be used.
pub async fn options(command: ProxyCommand) -> Result<Options, Error> {
    let credentials = command.proxy_auth.as_deref().map(ProxyCredentials::read).transpose()?;
    let credentials = credentials.map(Arc::new);
    let name: Arc<str> = command.server.to_string().into();
    let query = ServerOptions::query(name.clone(), &command.server, &command.ssh, command.sessions);
    let mut server = query.await?;
    let mut configured = std::mem::take(&mut server.config.forwards);
    let mut on_forward_failure = on_failure(configured.exit_on_forward_failure);
    if command.stdio_forward.is_some() {
        // As in ssh, -W stands alone: ClearAllForwardings and ExitOnForwardFailure.
        configured = ConfiguredForwards { gateway_ports: configured.gateway_ports, ..none() };
        on_forward_failure = OnForwardFailure::Exit;
    }
    let bare = match command.gateway_ports {
        GatewayPorts::Yes => Bind::All,
        GatewayPorts::Configured if configured.gateway_ports.is_on() => Bind::All,
        GatewayPorts::Configured => Bind::Loopback,
    };
    let local = command.local_forwards.into_iter().chain(configured.local);
    let dynamic = configured.dynamic.iter().map(|listen| dynamic(listen, bare));
    let proxies = command.listeners.into_iter().chain(dynamic);
    let proxies = proxies.map(|address| ListenerOptions {
        service: Service::Proxy { credentials: credentials.clone() },
        ..ListenerOptions::proxy(address)
    });
    let remote = command.remote_forwards.into_iter().chain(configured.remote);
    let remote = remote.map(|forward| remote_options(&name, forward, credentials.clone()));
    Ok(Options {
        listeners: once_each(proxies.chain(local.map(|forward| local_options(forward, bare)))),
        remote_forwards: remote.collect(),
        stdio: command.stdio_forward,
        backlog: command.backlog,
        on_forward_failure,
        router: Router::via_one(Arc::clone(&name)),
        servers: vec![server],
    })
}

fn none() -> ConfiguredForwards {
    ConfiguredForwards::default()
}

fn on_failure(exit: Switch) -> OnForwardFailure {
    if exit.is_on() { OnForwardFailure::Exit } else { OnForwardFailure::GoOn }
}

fn dynamic(listen: &LocalListen, bare: Bind) -> ListenAddress {
    listen.address(bare)
}

fn local_options(forward: LocalForward, bare: Bind) -> ListenerOptions {
    let address = forward.listen.address(bare);
    let service = Service::Forward { to: forward.to, via: None };
    ListenerOptions { address, name: None, service }
}

fn remote_options(
    server: &Arc<str>,
    forward: RemoteForward,
    credentials: Option<Arc<ProxyCredentials>>,
) -> RemoteOptions {
    RemoteOptions { server: Arc::clone(server), name: None, forward, credentials }
}

/// The first of those with the same address counts, as in ssh: what the command line says comes
/// before the configuration. Port 0 is another port each time.
fn once_each(all: impl Iterator<Item = ListenerOptions>) -> Vec<ListenerOptions> {
    let mut listeners: Vec<ListenerOptions> = Vec::new();
    for one in all {
        let is_free = matches!(one.address, ListenAddress::Tcp { port: 0, .. });
        if is_free || listeners.iter().all(|other| other.address != one.address) {
            listeners.push(one);
        }
    }
    listeners
}
