//! `sockeye [--config FILE]`: the proxy of a configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::app::{
    self, ControlOptions, ForwardOptions, ListenerOptions, RemoteOptions, ServerOptions, Service,
    manager,
};
use crate::config::{
    Config, ForwardConfig, ListenerConfig, Reloaded, Reloader, Reloads, ServerConfig, default_path,
};
use crate::control::Facts;
use crate::control::location::name_of;
use crate::forward::listen_address::Bind;
use crate::listen::ProxyCredentials;
use crate::observe::logs::Volume;
use crate::openssh::AddressFamily;
use crate::registry::Origin;

use super::args::Args;
use super::assemble::read_credentials;
use super::configured::ConfigFile;
use super::problem::Problem;
use super::run_options::RunOptions;
use super::values::default_listener;

/// The proxy of a configuration file, and the additions of the command line.
#[derive(Clone, Debug)]
pub struct FileCommand {
    /// The file.
    pub file: PathBuf,
    /// The additions of the command line.
    pub run: RunOptions,
}

/// The configuration in use, and its reloads.
#[derive(Debug)]
pub struct Following {
    command: FileCommand,
    credentials: Option<Arc<ProxyCredentials>>,
    reloader: Reloader,
    /// The configuration that was returned last; its outcome is known at the next call.
    handed: Option<Reloaded>,
}

impl Following {
    /// Reads the file, and returns what to run. Mistakes in it go to standard error. `asked` is notified when
    /// a reload is requested; `volume` changes how much is logged.
    pub async fn start(
        command: FileCommand,
        asked: Arc<Notify>,
        volume: Volume,
    ) -> anyhow::Result<(app::Options, Self)> {
        let credentials = read_credentials(command.run.proxy_auth.clone()).await?;
        let config = Arc::new(ConfigFile { named: Some(command.file.clone()) }.load().await?);
        let mut options = options(&command, credentials.as_ref(), &config).await?;
        let reloads = Reloads::new(command.file.clone(), asked);
        let facts = Facts { reloads: Some(reloads.clone()), volume: Some(volume) };
        let (location, access_log) = (command.run.control.clone(), command.run.access_log.clone());
        options.control = ControlOptions { location, facts, access_log, ..options.control };
        let reloader = Reloader::start(config, reloads);
        Ok((options, Self { command, credentials, reloader, handed: None }))
    }

    /// Waits for the next configuration, and returns what to run. `last` is the outcome of the previous
    /// one, which is logged here.
    pub async fn next(&mut self, last: Result<(), app::Error>) -> app::Options {
        match (self.handed.take(), last) {
            (Some(handed), Ok(())) => self.reloader.accept(handed),
            (Some(handed), Err(error)) => self.refuse(&handed, &error),
            (None, _) => {}
        }
        loop {
            // The previous reload, or the start, is complete and logged.
            manager::ready();
            self.reloader.due().await;
            manager::reloading();
            let Some(reloaded) = self.reloader.load().await else { continue };
            match options(&self.command, self.credentials.as_ref(), &reloaded.config).await {
                Ok(options) => {
                    self.handed = Some(reloaded);
                    return options;
                }
                Err(error) => self.refuse(&reloaded, &error),
            }
        }
    }

    fn refuse(&mut self, reloaded: &Reloaded, error: &app::Error) {
        self.reloader.refuse(reloaded, &error.to_string());
    }
}

/// What to run for a configuration and the additions of the command line.
async fn options(
    command: &FileCommand,
    credentials: Option<&Arc<ProxyCredentials>>,
    config: &Config,
) -> Result<app::Options, app::Error> {
    let mut servers = Vec::with_capacity(config.servers.len());
    for ServerConfig { name, server, ssh, sessions } in &config.servers {
        servers.push(ServerOptions::query(Arc::clone(name), server, ssh, *sessions).await?);
    }
    let (mut listeners, mut remote_forwards) = (proxies(config), Vec::new());
    for forward in &config.forwards {
        match configured(forward.clone(), &servers) {
            ForwardOptions::Here(options) => listeners.push(options),
            ForwardOptions::OnServer(options) => remote_forwards.push(options),
        }
    }
    for address in &command.run.listeners {
        // The file takes precedence if both have the same address.
        if listeners.iter().all(|listener| listener.address != *address) {
            let service = Service::Proxy { credentials: credentials.cloned() };
            listeners.push(ListenerOptions { service, ..ListenerOptions::proxy(address.clone()) });
        }
    }
    if listeners.is_empty() && remote_forwards.is_empty() {
        listeners.push(ListenerOptions::proxy(default_listener(AddressFamily::Any)));
    }
    Ok(app::Options {
        listeners,
        remote_forwards,
        backlog: command.run.backlog.or(config.backlog).unwrap_or_default(),
        control: ControlOptions {
            dashboard: command.run.dashboard.clone().or_else(|| config.dashboard.clone()),
            ..ControlOptions::default()
        },
        ..app::Options::new(servers, config.router.clone())
    })
}

/// The options for a forward of the file that uses one of `servers`.
pub(super) fn configured(forward: ForwardConfig, servers: &[ServerOptions]) -> ForwardOptions {
    let origin = Origin::Configuration;
    match forward {
        ForwardConfig::Local { name, forward, via } => ForwardOptions::Here(ListenerOptions {
            origin,
            address: forward.listen.address(&Bind::Loopback),
            name: Some(name),
            service: Service::Forward { to: forward.to, via: via.map(Arc::new) },
        }),
        ForwardConfig::Remote { name, on, forward, auth } => {
            // PermitRemoteOpen in the server's ssh_config applies to forwards of the file too.
            let permit = ServerOptions::permit(servers, &on);
            ForwardOptions::OnServer(RemoteOptions {
                origin,
                server: on,
                name: Some(name),
                forward,
                permit,
                credentials: auth,
            })
        }
    }
}

fn proxies(config: &Config) -> Vec<ListenerOptions> {
    let proxy = |listener: &ListenerConfig| ListenerOptions {
        origin: Origin::Configuration,
        address: listener.address.clone(),
        name: Some(Arc::clone(&listener.name)),
        service: Service::Proxy { credentials: listener.auth.clone() },
    };
    config.listeners.iter().map(proxy).collect()
}

impl FileCommand {
    /// Validates a command line without a host.
    pub(super) fn validate(args: &Args, mut problems: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let file = file(args).map_err(|problem| problems.push(problem)).ok();
        if file.is_some() {
            problems.extend(elsewhere(args));
        }
        let run = RunOptions::read(args, file.as_deref().map(instance_name), &mut problems);
        match file {
            Some(file) if problems.is_empty() => Ok(Self { file, run }),
            _ => Err(problems),
        }
    }
}

/// The instance name for a file: its stem, or `default` for the default file.
fn instance_name(file: &Path) -> String {
    let own = default_path().is_some_and(|own| own == file);
    let stem = file.file_stem().filter(|_| !own);
    stem.map_or_else(|| "default".into(), |stem| name_of(&stem.to_string_lossy()))
}

/// The file that was named, or else the user's default.
fn file(args: &Args) -> Result<PathBuf, Problem> {
    if let Some(named) = &args.config {
        return Ok(named.clone());
    }
    let default = default_path();
    match default {
        Some(path) if path.exists() => Ok(path),
        looked => Err(Problem::NoServer { looked }),
    }
}

/// Problems of flags that belong to one server (a file may have several), or whose setting belongs in the file.
fn elsewhere(args: &Args) -> impl Iterator<Item = Problem> {
    let of_a_server = [
        ("-p", !args.port.is_empty(), "port = PORT"),
        ("-l", !args.login.is_empty(), "user = \"USER\""),
        ("-i", !args.identity.is_empty(), "identity = [\"FILE\"]"),
        ("-F", args.config_file.is_some(), "ssh_config = \"FILE\""),
        ("-o", !args.option.is_empty(), "options = [\"Key=Value\"]"),
        ("-J", !args.jumps.is_empty(), "jump = \"[user@]host[:port]\""),
        ("-4", args.inet, "options = [\"AddressFamily=inet\"]"),
        ("-6", args.inet6, "options = [\"AddressFamily=inet6\"]"),
        ("-b", !args.bind_address.is_empty(), "options = [\"BindAddress=ADDRESS\"]"),
        ("-B", !args.bind_interface.is_empty(), "options = [\"BindInterface=NAME\"]"),
        ("-C", args.compression, "options = [\"Compression=yes\"]"),
        ("-c", !args.ciphers.is_empty(), "options = [\"Ciphers=LIST\"]"),
        ("-m", !args.macs.is_empty(), "options = [\"MACs=LIST\"]"),
        ("-P", !args.tag.is_empty(), "options = [\"Tag=TAG\"]"),
        ("--sessions", args.sessions.is_some(), "sessions = { min = 1, max = 8 }"),
    ];
    let others = [
        ("-L", !args.local_forward.is_empty(), "[[forward]] with local and to"),
        ("-R", !args.remote_forward.is_empty(), "[[forward]] with remote, on and to"),
        ("-W", !args.stdio_forward.is_empty(), "the host on the command line, without the file"),
    ];
    let of_a_server = of_a_server
        .map(|(flag, written, key)| (flag, written, format!("{key} under [server.NAME]")));
    let others = others.map(|(flag, written, instead)| (flag, written, instead.to_owned()));
    let written = of_a_server.into_iter().chain(others).filter(|(_, written, _)| *written);
    written.map(|(flag, _, instead)| Problem::BelongsToFile { flag, instead })
}
