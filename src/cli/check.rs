//! `sockeye check`: checks a configuration or a command line, and with `--connect` the servers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{bail, ensure};
use clap::Parser;

use crate::config::{Config, Mistake, Mistakes, Severity};
use crate::openssh::{ClientConfig, ConfigSource, Prompter};
use crate::printable::counted;

use super::assemble::{assemble, read_credentials};
use super::command::{Command, ProxyCommand};
use super::configured::{self, ConfigFile, FileError};
use super::exit::Exit;
use super::from_file::FileCommand;
use super::problem::Problem;
use crate::app::{self, Forwarding, ServerOptions};

mod server;

/// The help text below the options.
const CHECK_HELP: &str = "\
To check a command line, put `check` before it. --connect comes first.
Exit status: 0 when all is well, 1 when a server cannot be reached or forbids forwarding, 2 for
mistakes.";

/// The validated arguments of `sockeye check`.
#[derive(Clone, Debug)]
pub struct CheckCommand {
    what: Checked,
    reach: Reach,
}

#[derive(Clone, Debug)]
enum Checked {
    /// A file, and each of its servers.
    File {
        file: ConfigFile,
        /// The password file of a proxy that the command line adds.
        proxy_auth: Option<PathBuf>,
    },
    Host(Box<ProxyCommand>),
}

/// Whether the check connects to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// No.
    Here,
    /// Yes: it logs in to each server (`--connect`).
    Server,
}

#[derive(Debug, Parser)]
#[command(
    about = "Shows what a command line or a configuration file would use, and its mistakes.",
    override_usage = "sockeye check [--connect] [options] [user@]host\n       sockeye check [--connect] [--config FILE] [options]",
    after_help = CHECK_HELP
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,

    /// Log in, and show what the servers permit and how fast they answer
    #[arg(long)]
    connect: bool,

    // A doc comment is no use here: rustdoc takes the brackets for links.
    #[arg(
        help = "The command line of the proxy: [options] [user@]host",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        hide = true
    )]
    line: Vec<OsString>,
}

impl CheckCommand {
    /// The file to check; `None` for a command line.
    pub fn file(&self) -> Option<&ConfigFile> {
        match &self.what {
            Checked::File { file, .. } => Some(file),
            Checked::Host(_) => None,
        }
    }

    /// Validates the command line.
    pub(super) fn validate(args: CheckArgs) -> Result<Self, Exit> {
        let reach = if args.connect { Reach::Server } else { Reach::Here };
        if args.line.is_empty() {
            let what = Checked::File { file: args.file, proxy_auth: None };
            return Ok(Self { what, reach });
        }
        let config = args.file.named.map(|file| ["--config".into(), file.into_os_string()]);
        let line = config.into_iter().flatten().chain(args.line);
        match Command::read_proxy(&line.collect::<Vec<_>>())? {
            Command::Proxy(proxy) => Ok(Self { what: Checked::Host(proxy), reach }),
            Command::File(FileCommand { file, run }) => {
                let file = ConfigFile { named: Some(file) };
                Ok(Self { what: Checked::File { file, proxy_auth: run.proxy_auth }, reach })
            }
            _ => Err(Exit::Wrong(vec![Problem::NoServer { looked: None }])),
        }
    }
}

/// Checks a command line, or a file with its lists, password files and servers. Mistakes go to standard
/// error, everything else to standard output.
pub async fn run(command: &CheckCommand) -> anyhow::Result<()> {
    match &command.what {
        Checked::File { file, proxy_auth } => {
            read_credentials(proxy_auth.clone()).await?;
            check_file(file, command.reach).await
        }
        Checked::Host(proxy) => check_host(proxy, command.reach).await,
    }
}

async fn check_file(file: &ConfigFile, reach: Reach) -> anyhow::Result<()> {
    let config = file.load().await?;
    let (servers, mistakes) = ask_ssh(&config).await;
    configured::report(&mistakes);
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(FileError::from(Mistakes { mistakes, files: config.files }).into());
    }
    configured::say(&format!("{}\n", summary(&config)));
    let mut unusable = 0;
    for server in &servers {
        configured::say(&server::describe(server));
        match connect(server, reach).await {
            Err(error) if servers.len() > 1 => {
                tracing::error!("{error:#}");
                unusable += 1;
            }
            done => done?,
        }
    }
    ensure!(unusable == 0, "{unusable} of {} servers cannot be used", servers.len());
    Ok(())
}

async fn check_host(proxy: &ProxyCommand, reach: Reach) -> anyhow::Result<()> {
    let options = assemble(proxy.clone(), None).await?.options;
    for server in &options.servers {
        configured::say(&server::describe(server));
    }
    configured::say(&server::forwards(&options));
    for notice in &proxy.idle {
        configured::say(&format!("  {notice}\n"));
    }
    for server in &options.servers {
        connect(server, reach).await?;
    }
    Ok(())
}

/// Logs in to the server and tests it, if that is asked for.
async fn connect(options: &ServerOptions, reach: Reach) -> anyhow::Result<()> {
    if reach == Reach::Here {
        return Ok(());
    }
    let server = &options.name;
    let findings = match app::probe(options, &Prompter::from_environment()).await {
        Ok(findings) => findings,
        Err(error) => bail!("cannot connect to {server}: {error}"),
    };
    configured::say(&server::found(&findings));
    match findings.forwarding {
        Forwarding::Allowed => Ok(()),
        Forwarding::Forbidden | Forwarding::Full | Forwarding::Unanswered => {
            bail!("{server} does not let connections through")
        }
    }
}

/// Collects the errors of `ssh -G` for the servers.
async fn ask_ssh(config: &Config) -> (Vec<ServerOptions>, Vec<Mistake>) {
    let (mut servers, mut mistakes) = (Vec::new(), Vec::new());
    let mut warned = false;
    for server in &config.servers {
        match ClientConfig::query(&server.server, &server.ssh).await {
            Ok((found, source)) => {
                if source == ConfigSource::Defaults && !std::mem::replace(&mut warned, true) {
                    let what = "there is no ssh on the PATH: ssh_config is not read";
                    mistakes.push(config.mistake_of(server, Severity::Warning, what));
                }
                let (name, sessions) = (Arc::clone(&server.name), server.sessions);
                servers.push(ServerOptions { name, config: found, sessions });
            }
            Err(error) => {
                // Several servers may share the same ssh_config.
                let new = config.mistakes_of(server, &error).into_iter();
                let new: Vec<_> = new.filter(|mistake| !mistakes.contains(mistake)).collect();
                mistakes.extend(new);
            }
        }
    }
    (servers, mistakes)
}

/// `FILE: 2 listeners, 1 server, 12 rules, 1000000 list entries, 0 forwards`.
fn summary(config: &Config) -> String {
    let parts = [
        counted(config.listeners.len(), "listener"),
        counted(config.servers.len(), "server"),
        counted(config.router.rules().len(), "rule"),
        counted(config.forwards.len(), "forward"),
    ];
    let (file, parts) = (configured::shown(&config.file), parts.join(", "));
    format!("{file}: {parts}{}", config.and_entries())
}
