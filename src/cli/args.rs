//! The raw command line, as `clap` reads it before validation.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::error::ContextKind;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};

use super::flags::{Effect, FLAGS};
use super::subcommand;
use crate::forward::exposure::Guard;
use crate::observe::logs::Format;

/// The raw flags of `sockeye [options] host`.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye",
    version,
    about = "One local port that speaks SOCKS and HTTP and carries every request over SSH.",
    override_usage = "sockeye [options] [user@]host[:port] | ssh://[user@]host[:port]\n       \
                      sockeye [options] [--config FILE]\n       \
                      sockeye COMMAND ...",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, and raw")]
pub(super) struct Args {
    /// Listen here; may be repeated [default: 127.0.0.1:1080]
    #[arg(short = 'D', value_name = "[bind:]port|/path", help_heading = PROXY)]
    pub(super) listen: Vec<String>,

    /// Forward connections from here to a host beyond the server
    #[arg(short = 'L', value_name = "[bind:]port:host:hostport", help_heading = FORWARDS)]
    pub(super) local_forward: Vec<String>,

    /// Forward connections from the server to a host here, or a proxy
    #[arg(short = 'R', value_name = "[bind:]port[:host:hostport]", help_heading = FORWARDS)]
    pub(super) remote_forward: Vec<String>,

    /// Connect standard input and output to a host beyond the server
    #[arg(short = 'W', value_name = "host:port", help_heading = FORWARDS)]
    pub(super) stdio_forward: Vec<String>,

    /// Let other machines use local ports without a bind address
    #[arg(short = 'g', help_heading = FORWARDS)]
    pub(super) gateway_ports: bool,

    /// Run the configuration FILE [default: ~/.config/sockeye/config.toml]
    #[arg(long, value_name = "FILE", help_heading = PROXY)]
    pub(super) config: Option<PathBuf>,

    /// Require a user:password of FILE (mode 0600) from clients
    #[arg(long, value_name = "FILE", help_heading = PROXY)]
    pub(super) proxy_auth: Option<PathBuf>,

    /// Let other machines use a listener without a password
    #[arg(long, help_heading = PROXY)]
    pub(super) allow_remote: bool,

    /// Keep MIN SSH sessions, open up to MAX as needed [default: 1..8]
    #[arg(long, value_name = "MIN..MAX", help_heading = PROXY)]
    pub(super) sessions: Option<String>,

    /// Limits on data held for slow clients [default: 16MiB,256MiB,1GiB]
    #[arg(long, value_name = "ONE,ALL,FILES", help_heading = PROXY)]
    pub(super) backlog: Option<String>,

    /// Append a line per finished request to FILE (-: standard output)
    #[arg(long, value_name = "FILE|-", help_heading = PROXY)]
    pub(super) access_log: Option<PathBuf>,

    /// Control socket at PATH, or none [default: named after the server]
    #[arg(long, short = 'S', value_name = "PATH|none", help_heading = PROXY)]
    pub(super) control: Option<PathBuf>,

    /// Web page that shows what runs [default ADDR: 127.0.0.1:9090]
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = PROXY
    )]
    pub(super) dashboard: Option<String>,

    /// Also serve the dashboard in DIR, at /ui/
    #[arg(long, value_name = "DIR", hide = true, help_heading = PROXY)]
    pub(super) dashboard_files: Option<PathBuf>,

    /// Read the dashboard's token for scripts from FILE (mode 0600)
    #[arg(long, value_name = "FILE", hide = true, help_heading = PROXY)]
    pub(super) dashboard_token: Option<PathBuf>,

    /// Command a running sockeye: check, forward, cancel, exit or stop
    #[arg(short = 'O', value_name = "command", help_heading = OTHER)]
    pub(super) control_command: Option<String>,

    /// Port of the SSH server
    #[arg(short, value_name = "port", help_heading = SSH)]
    pub(super) port: Vec<String>,

    /// User on the SSH server
    #[arg(short = 'l', value_name = "user", help_heading = SSH)]
    pub(super) login: Vec<String>,

    /// Private key to log in with; may be repeated
    #[arg(short, value_name = "file", help_heading = SSH)]
    pub(super) identity: Vec<PathBuf>,

    /// Configuration file of ssh to use instead of ~/.ssh/config
    #[arg(short = 'F', value_name = "file", help_heading = SSH)]
    pub(super) config_file: Option<PathBuf>,

    /// An option as in the configuration file; may be repeated
    #[arg(short, value_name = "Key=Value", help_heading = SSH)]
    pub(super) option: Vec<String>,

    /// Use IPv4 only, to the server and for local ports
    #[arg(short = '4', overrides_with = "inet6", help_heading = SSH)]
    pub(super) inet: bool,

    /// Use IPv6 only, to the server and for local ports
    #[arg(short = '6', overrides_with = "inet", help_heading = SSH)]
    pub(super) inet6: bool,

    /// Connect through these jump hosts, comma-separated
    #[arg(short = 'J', value_name = "[user@]host[:port]", help_heading = SSH)]
    pub(super) jumps: Vec<String>,

    /// Connect from this address of this machine
    #[arg(short = 'b', value_name = "address", help_heading = SSH)]
    pub(super) bind_address: Vec<String>,

    /// Connect from this network interface
    #[arg(short = 'B', value_name = "interface", help_heading = SSH)]
    pub(super) bind_interface: Vec<String>,

    /// Compress data on the SSH connection
    #[arg(short = 'C', help_heading = SSH)]
    pub(super) compression: bool,

    /// Ciphers to offer, best first, comma-separated
    #[arg(short = 'c', value_name = "list", help_heading = SSH)]
    pub(super) ciphers: Vec<String>,

    /// Tag for `Match tagged` in the configuration
    #[arg(short = 'P', value_name = "tag", hide = true, help_heading = SSH)]
    pub(super) tag: Vec<String>,

    /// MACs to offer, best first, comma-separated
    #[arg(short = 'm', value_name = "list", help_heading = SSH)]
    pub(super) macs: Vec<String>,

    /// Go to the background once the listeners and the first session are up
    #[arg(short = 'f', help_heading = OTHER)]
    pub(super) background: bool,

    /// Append the log to FILE, not to standard error
    #[arg(short = 'E', value_name = "FILE", help_heading = OTHER)]
    pub(super) log_file: Option<PathBuf>,

    /// How much to log, and in what format.
    #[command(flatten)]
    pub(super) log: LogArgs,

    /// The server, as `ssh` takes it.
    #[arg(value_name = "[user@]host[:port]", hide = true)]
    pub(super) server: Option<String>,

    /// The remote command of `ssh`, which is refused here.
    #[arg(trailing_var_arg = true, hide = true)]
    pub(super) command: Vec<String>,

    #[arg(skip)]
    pub(super) places: Places,
}

/// The positions of the values of each argument on the command line.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<String, Vec<usize>>);

#[derive(Debug, Parser)]
#[command(
    about = "Demonstrates the proxy with an SSH server and a web page, all on this machine.",
    override_usage = "sockeye demo [-D [bind:]port] [--once]"
)]
pub(super) struct DemoArgs {
    /// Listen here; may be repeated [default: 127.0.0.1:1080, or a free port]
    #[arg(short = 'D', value_name = "[bind:]port|/path")]
    pub(super) listen: Vec<String>,

    /// End after the self-check: status 0 when it passed, else 1
    #[arg(long)]
    pub(super) once: bool,

    /// How much to log, and in what format.
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Log more: once for debugging, twice for everything
    #[arg(short, action = ArgAction::Count, overrides_with = "quiet", help_heading = OTHER)]
    pub(super) verbose: u8,

    /// Log errors only
    #[arg(short, overrides_with = "verbose", help_heading = OTHER)]
    pub(super) quiet: bool,

    /// Form of the log on standard error [default: text]
    #[arg(long, value_name = "text|json", hide_possible_values = true, help_heading = OTHER)]
    pub(super) log_format: Option<Format>,
}

impl Args {
    /// Reads the command line without its first word, the program. The second value holds the flags
    /// of ssh that are not flags of sockeye.
    pub(super) fn read(words: &[std::ffi::OsString]) -> Result<(Self, Foreign), clap::Error> {
        let program = std::ffi::OsString::from("sockeye");
        let mut command = Self::full_command();
        let words = std::iter::once(&program).chain(words);
        let matches = command.try_get_matches_from_mut(words).map_err(|mut error| {
            // Otherwise clap suggests `-- -Z`, which ssh takes for a remote command.
            error.remove(ContextKind::Suggested);
            error
        })?;
        let args = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let places = Places::of(&matches);
        Ok((Self { places, ..args }, Foreign::of(&matches)))
    }

    /// How proxies are protected from other machines.
    pub(super) fn guard(&self) -> Guard {
        Guard::new(self.proxy_auth.as_ref(), self.allow_remote.into())
    }

    /// The flags above, and those that only ssh has.
    pub(super) fn full_command() -> clap::Command {
        let foreign = FLAGS.iter().filter(|flag| !flag.id.is_empty()).map(|flag| {
            let arg = Arg::new(flag.id).short(flag.letter).hide(true);
            if flag.takes_value() {
                // Any bytes are taken, including a leading dash, as in ssh.
                arg.action(ArgAction::Append)
                    .value_parser(ValueParser::os_string())
                    .allow_hyphen_values(true)
            } else {
                arg.action(ArgAction::Count)
            }
        });
        let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
        let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
        let after_help = format!("{}\n{AFTER_HELP}", subcommand::listing());
        Self::command().after_help(after_help).args(foreign).args([
            help.help("Show this help").help_heading(OTHER),
            version.help("Show versions, as needed in a bug report").help_heading(OTHER),
        ])
    }
}

impl Places {
    fn of(matches: &ArgMatches) -> Self {
        let places = |id: &str| Some((id.to_owned(), matches.indices_of(id)?.collect()));
        Self(matches.ids().filter_map(|id| places(id.as_str())).collect())
    }

    /// The values of an argument with their positions, in ascending order.
    pub(super) fn with<T>(&self, id: &str, values: Vec<T>) -> impl Iterator<Item = (usize, T)> {
        self.0.get(id).into_iter().flatten().copied().zip(values)
    }
}

/// The flags of ssh that were given but are not flags of sockeye, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) refused: Vec<char>,
    /// Those that have no effect.
    pub(super) idle: Vec<char>,
}

impl Foreign {
    fn of(matches: &ArgMatches) -> Self {
        let written = |id| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        let no_command = written("no-command");
        let mut foreign = Self::default();
        for flag in FLAGS.iter().filter(|flag| !flag.id.is_empty() && written(flag.id)) {
            match flag.effect {
                Effect::Refused(_) => foreign.refused.push(flag.letter),
                Effect::IdleWithN(_) if !no_command => foreign.refused.push(flag.letter),
                Effect::Idle(_) | Effect::IdleWithN(_) => foreign.idle.push(flag.letter),
                Effect::Honoured => {}
            }
        }
        foreign
    }
}

const PROXY: &str = "Proxy options";
const FORWARDS: &str =
    "Forwards, as in ssh(1); the path of a unix socket may replace an address and port";
const SSH: &str = "SSH options, as in ssh(1)";
const OTHER: &str = "Other options";

const AFTER_HELP: &str = "\
Flags of ssh that have no effect here (-N, -T, -n, -a and others) are accepted; -v names them.
Exit status: 0 after a clean stop, 1 when the server cannot be reached or refuses the login, or a
port is in use, 2 for a wrong command line. The guide: sockeye help
";

#[cfg(test)]
mod tests;
