//! From a command line to what runs: what `ssh_config` says about the host is put together with the
//! flags.

use std::sync::Arc;

use tracing::warn;

use super::command::{GatewayPorts, ProxyCommand};
use crate::app::{
    Error, ListenerOptions, OnForwardFailure, Options, RemoteOptions, ServerOptions, Service,
};
use crate::forward::ListenAddress;
use crate::forward::exposure::{self, Guard, Offer, Reach};
use crate::forward::listen_address::Bind;
use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::listen::ProxyCredentials;
use crate::openssh::Switch;
use crate::registry::Origin;
use crate::route::Router;

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
        configured = configured.cleared();
        on_forward_failure = OnForwardFailure::Exit;
    }
    let bare = match command.gateway_ports {
        GatewayPorts::Yes => Bind::All,
        GatewayPorts::Configured if configured.gateway_ports.is_on() => Bind::All,
        GatewayPorts::Configured => Bind::Loopback,
    };
    let local = command.local_forwards.into_iter().chain(configured.local);
    let guard = command.guard;
    let dynamic = configured.dynamic.iter().filter_map(|listen| dynamic(listen, bare, guard));
    let proxies = command.listeners.into_iter().chain(dynamic);
    let proxies = proxies.map(|address| ListenerOptions {
        service: Service::Proxy { credentials: credentials.clone() },
        ..ListenerOptions::proxy(address)
    });
    let configured_remote = configured.remote.into_iter().filter(|forward| remote(forward, guard));
    let remote = command.remote_forwards.into_iter().chain(configured_remote);
    let permit = configured.permit_remote_open;
    let remote = remote.map(|forward| RemoteOptions {
        origin: Origin::CommandLine,
        server: Arc::clone(&name),
        name: None,
        forward,
        permit: permit.clone(),
        credentials: credentials.clone(),
    });
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

fn on_failure(exit: Switch) -> OnForwardFailure {
    if exit.is_on() { OnForwardFailure::Exit } else { OnForwardFailure::GoOn }
}

/// A proxy of `ssh_config`. It is open to other machines only where the user of this program says so:
/// `GatewayPorts` was written for forwards, too, and `ssh` asks nobody for a password.
fn dynamic(listen: &LocalListen, bare: Bind, guard: Guard) -> Option<ListenAddress> {
    let address = match guard {
        Guard::Password | Guard::Welcome => listen.address(bare),
        Guard::None => listen.address(Bind::Loopback),
    };
    let admitted = exposure::admit(Reach::of(&address), Offer::Anything, guard);
    if admitted.is_err() {
        leave_out(&format!("DynamicForward {address}"));
    }
    admitted.is_ok().then_some(address)
}

/// Whether a forward of `ssh_config` on the server may be asked for. One without a target is a proxy
/// into this side, for whoever reaches it there.
fn remote(forward: &RemoteForward, guard: Guard) -> bool {
    let reach = Reach::of_remote(&forward.listen);
    let admitted = exposure::admit(reach, Offer::of_remote(forward), guard);
    if admitted.is_err() {
        leave_out(&format!("RemoteForward {forward}"));
    }
    admitted.is_ok()
}

fn leave_out(what: &str) {
    warn!(
        "{what} is left out: other machines could use this proxy; ask for a password with \
         --proxy-auth FILE, or allow it with --allow-remote"
    );
}

fn local_options(forward: LocalForward, bare: Bind) -> ListenerOptions {
    let address = forward.listen.address(bare);
    let service = Service::Forward { to: forward.to, via: None };
    ListenerOptions { origin: Origin::CommandLine, address, name: None, service }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_the_configuration_is_open_to_others_only_by_a_word() {
        let shown = |text: &str, bare, guard| {
            let listen = text.parse().expect(text);
            dynamic(&listen, bare, guard).map(|address| address.to_string())
        };
        for (text, refused, allowed) in [
            ("1080", Some("localhost:1080"), Some("*:1080")),
            ("localhost:1080", Some("localhost:1080"), Some("localhost:1080")),
            ("*:1080", None, Some("*:1080")),
            ("192.0.2.1:1080", None, Some("192.0.2.1:1080")),
        ] {
            let told = shown(text, Bind::All, Guard::None);
            assert_eq!(told.as_deref(), refused, "{text}");
            let told = shown(text, Bind::All, Guard::Welcome);
            assert_eq!(told.as_deref(), allowed, "{text}");
        }
    }

    #[test]
    fn so_is_one_on_the_server_and_a_target_is_what_the_user_wants() {
        for (text, alone) in [
            ("0", true),
            ("localhost:0", true),
            ("/s", true),
            ("*:0", false),
            (":0", false),
            ("0.0.0.0:0", false),
            ("name:0", false),
            ("*:0:a:80", true),
        ] {
            let forward = text.parse().expect(text);
            assert_eq!(remote(&forward, Guard::None), alone, "{text}");
            assert!(
                remote(&forward, Guard::Welcome) && remote(&forward, Guard::Password),
                "{text}"
            );
        }
    }
}
