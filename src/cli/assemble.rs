//! Turns a command line into what to run, by combining the host's `ssh_config` with the flags.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::command::{GatewayPorts, ProxyCommand};
use super::run_options::RunIn;
use super::values::default_listener;
use crate::app::{
    ControlOptions, Error, ListenerOptions, OnForwardFailure, Options, RemoteOptions,
    ServerOptions, Service,
};
use crate::control::Facts;
use crate::control::location::Location;
use crate::forward::ListenAddress;
use crate::forward::exposure::{Guard, admit_proxy, admit_remote};
use crate::forward::listen_address::Bind;
use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::listen::{Inherited, ProxyCredentials, SocketOptions};
use crate::observe::logs::{Verbosity, Volume};
use crate::openssh::{AddressFamily, ClientConfig, ConfigError, ConfiguredForwards, Switch};
use crate::registry::Origin;
use crate::route::Router;
use crate::task;

/// What to run for a command line with a host, and how.
#[derive(Debug)]
pub struct Assembled {
    /// What to run.
    pub options: Options,
    /// How much to log, by the flags or else by `LogLevel`.
    pub verbosity: Option<Verbosity>,
    /// Where to run once the proxy is up.
    pub run_in: RunIn,
}

/// Combines a command line with `ssh_config`; `volume` changes how much is logged.
pub async fn assemble(
    mut command: ProxyCommand,
    volume: Option<Volume>,
) -> Result<Assembled, Error> {
    let credentials = read_credentials(command.run.proxy_auth.clone()).await?;
    let name: Arc<str> = command.server.to_string().into();
    let (at, ssh) = (&command.server, &command.ssh);
    let mut server = ServerOptions::query(name.clone(), at, ssh, command.sessions).await?;
    let configured = std::mem::take(&mut server.config.forwards);
    let process = server.config.process.clone();
    let permit = configured.permit_remote_open.clone();
    server.config.forwards.permit_remote_open = permit.clone();
    let family = server.config.reach.address_family;
    let default = match configured.clear_all {
        Switch::On => clear(&mut command, family),
        Switch::Off => Some(default_listener(family)),
    };
    expand(&mut command, &server.config)?;
    // `ssh -G` applies the defaults of -W to these: ClearAllForwardings and ExitOnForwardFailure.
    let on_forward_failure = match command.stdio_forward {
        Some(_) => OnForwardFailure::Exit,
        None => on_failure(configured.exit_on_forward_failure),
    };
    let sockets = SocketOptions { files: configured.sockets, family };
    let (stdio, run) = (command.stdio_forward.clone(), command.run.clone());
    let location = control_location(run.control, &server.config)?;
    let (listeners, remote) = forwards(command, configured, default, credentials.as_ref());
    let remote_forwards = remote.into_iter().map(|forward| RemoteOptions {
        origin: Origin::CommandLine,
        server: Arc::clone(&name),
        name: None,
        forward,
        permit: permit.clone(),
        credentials: credentials.clone(),
    });
    Ok(Assembled {
        options: Options {
            listeners,
            remote_forwards: remote_forwards.collect(),
            stdio,
            backlog: run.backlog.unwrap_or_default(),
            sockets,
            on_forward_failure,
            inherited: Inherited::default(),
            router: Router::via_one(Arc::clone(&name)),
            servers: vec![server],
            control: ControlOptions {
                location,
                access_log: run.access_log,
                dashboard: run.dashboard,
                facts: Facts { reloads: None, volume },
            },
        },
        verbosity: run.log.verbosity.or(process.log_level),
        run_in: match process.fork_after_authentication {
            Switch::On => RunIn::Background,
            Switch::Off => run.run_in,
        },
    })
}

/// The location of the control socket, with its tokens expanded.
fn control_location(control: Location, config: &ClientConfig) -> Result<Location, ConfigError> {
    Ok(match control {
        Location::At(path) => Location::At(config.control_path(path)?),
        Location::Named(_) | Location::None => control,
    })
}

/// Expands tokens in the socket paths of the flags; `ssh -G` has expanded those of the configuration.
fn expand(command: &mut ProxyCommand, config: &ClientConfig) -> Result<(), ConfigError> {
    let locals = std::mem::take(&mut command.local_forwards).into_iter();
    command.local_forwards =
        locals.map(|forward| config.expand_local(forward)).collect::<Result<_, _>>()?;
    let remotes = std::mem::take(&mut command.remote_forwards).into_iter();
    command.remote_forwards =
        remotes.map(|forward| config.expand_remote(forward)).collect::<Result<_, _>>()?;
    Ok(())
}

/// Removes the forwards of the command line, except `-W`, as ssh does for `ClearAllForwardings`. Returns the
/// default listener, or none if there were any forwards.
fn clear(command: &mut ProxyCommand, family: AddressFamily) -> Option<ListenAddress> {
    let named = has_forwards(command);
    command.run.listeners.clear();
    command.local_forwards.clear();
    command.remote_forwards.clear();
    if named && command.stdio_forward.is_none() {
        warn!(
            "ClearAllForwardings leaves out the forwards of the command line, too, as with ssh: \
             nothing is listened on (-o ClearAllForwardings=no keeps them)"
        );
    }
    (!named).then(|| default_listener(family))
}

/// Whether the command line has a forward, except `-W`.
fn has_forwards(command: &ProxyCommand) -> bool {
    !(command.run.listeners.is_empty()
        && command.local_forwards.is_empty()
        && command.remote_forwards.is_empty())
}

/// The local listeners and the remote forwards: those of the command line, then those of the configuration,
/// or `default` if there are none.
fn forwards(
    command: ProxyCommand,
    configured: ConfiguredForwards,
    default: Option<ListenAddress>,
    credentials: Option<&Arc<ProxyCredentials>>,
) -> (Vec<ListenerOptions>, Vec<RemoteForward>) {
    let bare = match command.gateway_ports {
        GatewayPorts::Yes => Bind::All,
        GatewayPorts::Configured if configured.gateway_ports.is_on() => Bind::All,
        GatewayPorts::Configured => Bind::Loopback,
    };
    let guard = command.guard;
    let ConfiguredForwards { local, remote: on_server, dynamic: configured_proxies, .. } =
        configured;
    let is_configured =
        !(local.is_empty() && on_server.is_empty() && configured_proxies.is_empty());
    // The default listener must not get in the way of anything that was asked for.
    let is_asked = command.stdio_forward.is_some() || has_forwards(&command) || is_configured;
    let default = default.filter(|_| !is_asked);
    let dynamic = configured_proxies.iter().filter_map(|listen| dynamic(listen, &bare, guard));
    let proxies = command.run.listeners.into_iter().chain(dynamic).chain(default);
    let proxies = proxies.map(|address| ListenerOptions {
        service: Service::Proxy { credentials: credentials.cloned() },
        ..ListenerOptions::proxy(address)
    });
    let local = command.local_forwards.into_iter().chain(local);
    let listeners = once_each(proxies.chain(local.map(|forward| local_options(forward, &bare))));
    let on_server = on_server.into_iter().filter(|forward| remote(forward, guard));
    (listeners, command.remote_forwards.into_iter().chain(on_server).collect())
}

/// Reads the file of `--proxy-auth` in a blocking task, so that signals are still handled.
pub(super) async fn read_credentials(
    file: Option<PathBuf>,
) -> Result<Option<Arc<ProxyCredentials>>, Error> {
    let Some(file) = file else { return Ok(None) };
    let read = task::blocking(move || ProxyCredentials::read(&file)).await;
    Ok(Some(Arc::new(read.map_err(Error::Credentials)?)))
}

fn on_failure(exit: Switch) -> OnForwardFailure {
    if exit.is_on() { OnForwardFailure::Exit } else { OnForwardFailure::GoOn }
}

/// The address of a `DynamicForward`. It is open to other machines only if a flag of this program
/// says so: `GatewayPorts` may be meant for other forwards, and `ssh` asks nobody for a password.
fn dynamic(listen: &LocalListen, bare: &Bind, guard: Guard) -> Option<ListenAddress> {
    let address = match guard {
        Guard::Password | Guard::Welcome => listen.address(bare),
        Guard::None => listen.address(&Bind::Loopback),
    };
    let admitted = admit_proxy(&address, guard);
    if admitted.is_err() {
        leave_out(&format!("DynamicForward {address}"));
    }
    admitted.is_ok().then_some(address)
}

/// Whether a remote forward of `ssh_config` may be requested. One without a target is a proxy into
/// this network, for everyone who can reach it on the server.
fn remote(forward: &RemoteForward, guard: Guard) -> bool {
    let admitted = admit_remote(forward, guard);
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

fn local_options(forward: LocalForward, bare: &Bind) -> ListenerOptions {
    let address = forward.listen.address(bare);
    let service = Service::Forward { to: forward.to, via: None };
    ListenerOptions { origin: Origin::CommandLine, address, name: None, service }
}

/// Merges identical listeners, as ssh does. Two that share only the address both remain, and the
/// second fails.
fn once_each(all: impl Iterator<Item = ListenerOptions>) -> Vec<ListenerOptions> {
    let mut listeners: Vec<ListenerOptions> = Vec::new();
    for one in all {
        let is_free = matches!(one.address, ListenAddress::Tcp { port: 0, .. });
        if is_free || !listeners.contains(&one) {
            listeners.push(one);
        }
    }
    listeners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_ssh_config_is_open_to_others_only_by_a_flag() {
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
            let told = shown(text, &Bind::All, Guard::None);
            assert_eq!(told.as_deref(), refused, "{text}");
            let told = shown(text, &Bind::All, Guard::Welcome);
            assert_eq!(told.as_deref(), allowed, "{text}");
        }
    }

    #[test]
    fn a_proxy_on_a_server_needs_a_flag_and_a_forward_with_a_target_does_not() {
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
