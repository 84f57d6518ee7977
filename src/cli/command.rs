//! The validated command line: every value has its type, and all problems are reported together.

use std::ffi::OsString;
use std::path::Path;

use crate::control::location::name_of;
use crate::forward::exposure::{Guard, admit_proxy};
use crate::forward::{DashboardAddress, ListenAddress, LocalForward, LocalListen, RemoteForward};
use crate::observe::logs::{LogOptions, Verbosity};
use crate::openssh::{ServerName, SshOptions, Switch};
use crate::pool::PoolSize;
use crate::target::Target;

use super::args::{Args, DemoArgs, LogArgs};
use super::check::CheckCommand;
use super::errand::Errand;
use super::exit::Exit;
use super::flags::Flag;
use super::from_file::FileCommand;
use super::operate::{MuxCommand, OperateCommand};
use super::problem::Problem;
use super::run_options::RunOptions;
use super::subcommand;
use super::values::{open_remote_forwards, read, read_all, read_ssh_options, read_stdio_forward};

/// What the user asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// `sockeye [options] host`: the proxy.
    Proxy(Box<ProxyCommand>),
    /// `sockeye [--config FILE]`: the proxy that a file describes.
    File(FileCommand),
    /// `sockeye check`.
    Check(CheckCommand),
    /// `sockeye demo`.
    Demo(DemoCommand),
    /// A command that prints or writes something and exits.
    Errand(Errand),
    /// A command to a running instance, such as `sockeye status`.
    Operate(OperateCommand),
}

/// The proxy for one server, named on the command line.
#[derive(Clone, Debug)]
pub struct ProxyCommand {
    /// The server, as the user named it.
    pub server: ServerName,
    /// How to reach it, from the ssh flags.
    pub ssh: SshOptions,
    /// Local forwards (`-L`), in order.
    pub local_forwards: Vec<LocalForward>,
    /// Remote forwards (`-R`), in order.
    pub remote_forwards: Vec<RemoteForward>,
    /// What standard input and output are connected to (`-W`).
    pub stdio_forward: Option<Target>,
    /// The default bind address of local forwards: every interface with `-g`, otherwise as the
    /// server's configuration says.
    pub gateway_ports: GatewayPorts,
    /// How proxies are protected from other machines (`--proxy-auth`, `--allow-remote`).
    pub guard: Guard,
    /// The pool size (`--sessions`); the default depends on the kind of login.
    pub sessions: Option<PoolSize>,
    /// The options that it shares with the proxy of a file.
    pub run: RunOptions,
    /// The notices about flags of ssh that have no effect here.
    pub idle: Vec<String>,
}

/// The demo: a proxy, a server and a target, all on this machine.
#[derive(Clone, Debug)]
pub struct DemoCommand {
    /// Where to listen (`-D`), on loopback. Empty means 127.0.0.1:1080, or a free port if that is
    /// taken.
    pub listeners: Vec<ListenAddress>,
    /// When to end.
    pub until: DemoUntil,
    /// How much to log, and in what format.
    pub log: LogOptions,
}

/// Who may use a local forward without a bind address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayPorts {
    /// Every machine (`-g`).
    Yes,
    /// Those whom the server's configuration allows.
    Configured,
}

/// When the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoUntil {
    /// After the self-check (`--once`).
    Checked,
    /// On a signal.
    Stopped,
}

impl Command {
    /// Reads the command line, without its first word (the program).
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let words: Vec<_> = words.into_iter().collect();
        // Only the first word is a subcommand: a host that is called `demo` too is written `ssh://demo`.
        if words
            .first()
            .is_some_and(|first| subcommand::names().iter().any(|name| first == &**name))
        {
            subcommand::read(&words)
        } else {
            Self::read_proxy(&words)
        }
    }

    /// Reads a command line without subcommands.
    pub(super) fn read_proxy(words: &[OsString]) -> Result<Self, Exit> {
        let (mut args, foreign) = Args::read(words)?;
        let mut problems: Vec<_> =
            foreign.refused.iter().map(|flag| Problem::Refused(*flag)).collect();
        problems.extend(misplaced(&args, &foreign.refused));
        if let Some(word) = args.control_command.take() {
            return mux(&word, args, problems).map(Self::Operate).map_err(Exit::from);
        }
        match args.server.clone() {
            Some(server) => {
                let idle = foreign.idle.into_iter().filter_map(|flag| Flag::find(flag)?.idle());
                let proxy = ProxyCommand::validate(args, &server, idle.collect(), problems)?;
                Ok(Self::Proxy(Box::new(proxy)))
            }
            None => Ok(Self::File(FileCommand::validate(&args, problems)?)),
        }
    }

    /// The log file, in place of standard error.
    pub fn log_file(&self) -> Option<&Path> {
        self.run_options()?.log_file.as_deref()
    }

    /// How much to log, and in what format. Other commands have no log options: they answer on standard output.
    pub fn log(&self) -> LogOptions {
        match self {
            Self::Demo(demo) => demo.log,
            _ => self.run_options().map(|run| run.log).unwrap_or_default(),
        }
    }

    /// How a proxy runs; `None` for any other command.
    pub fn run_options(&self) -> Option<&RunOptions> {
        match self {
            Self::Proxy(proxy) => Some(&proxy.run),
            Self::File(command) => Some(&command.run),
            Self::Check(_) | Self::Demo(_) | Self::Errand(_) | Self::Operate(_) => None,
        }
    }
}

/// The problem with words after the host, or in its place.
fn misplaced(args: &Args, refused: &[char]) -> Option<Problem> {
    let is_port = args.server.as_deref().is_some_and(|word| word.parse::<u16>().is_ok());
    // With `--dashboard ADDRESS`, the address is read as the host, or, after the host, as a command.
    if args.dashboard.as_deref() == Some("") && (is_port || !args.command.is_empty()) {
        let mut words = args.server.iter().chain(args.command.first());
        if let Some(word) = words.find(|word| word.parse::<DashboardAddress>().is_ok()) {
            return Some(Problem::DetachedAddress(word.clone()));
        }
    }
    // With autossh's `-M PORT`, the port is read as the host, and the host as a command.
    let is_autossh = refused.contains(&'M') && is_port;
    (!args.command.is_empty() && !is_autossh)
        .then(|| Problem::RemoteCommand(args.command.join(" ")))
}

impl ProxyCommand {
    fn validate(
        mut args: Args,
        server: &str,
        idle: Vec<String>,
        mut problems: Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        if args.config.is_some() {
            problems.push(Problem::HostAndFile);
        }
        let named = server.to_owned();
        let server = server
            .parse::<ServerName>()
            .map_err(|why| problems.push(Problem::value("host", server, why)));

        let gateway_ports =
            if args.gateway_ports { GatewayPorts::Yes } else { GatewayPorts::Configured };
        let guard = args.guard();
        // With -W, many instances run, and not for long; so they have no control socket by default.
        let name = args.stdio_forward.is_empty().then(|| name_of(&named));
        let run = RunOptions::read(&args, name, &mut problems);
        let local_forwards = read_all("-L", &args.local_forward, &mut problems);
        let remote_forwards: Vec<RemoteForward> =
            read_all("-R", &args.remote_forward, &mut problems);
        problems.extend(open_remote_forwards(&remote_forwards, guard));
        let stdio_forward = read_stdio_forward(&args, &mut problems);
        let stdio = if stdio_forward.is_some() { Switch::On } else { Switch::Off };
        let ssh = SshOptions { stdio, ..read_ssh_options(&mut args, &mut problems) };
        let sessions = read("--sessions", args.sessions.as_deref(), &mut problems);
        match server {
            Ok(server) if problems.is_empty() => Ok(Self {
                server,
                ssh,
                local_forwards,
                remote_forwards,
                stdio_forward,
                gateway_ports,
                guard,
                sessions,
                run,
                idle,
            }),
            _ => Err(problems),
        }
    }
}

impl DemoCommand {
    pub(super) fn validate(args: &DemoArgs) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let listeners: Vec<ListenAddress> = read_all("-D", &args.listen, &mut problems);
        // The demo has no protection, and no option adds any.
        let open = listeners.iter().filter(|one| admit_proxy(one, Guard::None).is_err());
        let why = "the demo listens on loopback only";
        problems.extend(open.map(|open| Problem::value("-D", &open.to_string(), why)));
        if !problems.is_empty() {
            return Err(problems);
        }
        let until = if args.once { DemoUntil::Checked } else { DemoUntil::Stopped };
        Ok(Self { listeners, until, log: args.log.validate() })
    }
}

impl LogArgs {
    pub(super) fn validate(&self) -> LogOptions {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Some(Verbosity::Quiet),
            (false, 0) => None,
            (false, 1) => Some(Verbosity::Debug),
            (false, _) => Some(Verbosity::Trace),
        };
        LogOptions { verbosity, format: self.log_format.unwrap_or_default() }
    }
}

/// Reads `-O`.
fn mux(
    word: &str,
    mut args: Args,
    mut problems: Vec<Problem>,
) -> Result<OperateCommand, Vec<Problem>> {
    let ssh = read_ssh_options(&mut args, &mut problems);
    read_all::<LocalForward>("-L", &args.local_forward, &mut problems);
    read_all::<RemoteForward>("-R", &args.remote_forward, &mut problems);
    read_all::<LocalListen>("-D", &args.listen, &mut problems);
    let specs = [args.local_forward, args.remote_forward, args.listen];
    match MuxCommand::read(word, args.server, ssh, args.control, specs) {
        Some(command) if problems.is_empty() => Ok(OperateCommand::Mux(command)),
        Some(_) => Err(problems),
        None => {
            let why = "it is check, forward, cancel, exit, stop, conninfo or channels";
            problems.push(Problem::value("-O", word, why));
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
