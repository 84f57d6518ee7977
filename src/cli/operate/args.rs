//! The flags of the commands to a running program, as they were written.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::instance::Which;

/// Which running program is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WhichArgs {
    /// The running program of this name
    #[arg(short = 'n', long = "instance", value_name = "NAME")]
    instance: Option<String>,

    /// The running program with this control socket
    #[arg(short = 'S', long, value_name = "PATH")]
    control: Option<PathBuf>,

    #[arg(short = 'h', long, help = "Show this help", action = ArgAction::Help)]
    help: (),
}

impl WhichArgs {
    fn which(&self, name: Option<&String>) -> Which {
        let name = name.or(self.instance.as_ref()).cloned();
        Which { name, socket: self.control.clone() }
    }
}

/// What stands at the end of a help page.
macro_rules! after {
    ($name:literal, $status:literal) => {
        concat!(
            "Exit status: ",
            $status,
            ", 3 when nothing runs.\nA server whose name is `",
            $name,
            "` is `sockeye ssh://",
            $name,
            "`.\n"
        )
    };
}

/// The shape of every help page.
const TEMPLATE: &str = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}";

/// `sockeye status`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye status",
    bin_name = "sockeye status",
    about = "Tells what runs, whether it works, and why not.",
    help_template = TEMPLATE,
    after_help = after!("status", "0 when all is up, 1 when something is down"),
    disable_help_flag = true
)]
pub(crate) struct StatusArgs {
    /// The running program [default: all that run]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Only the exit status
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye wait`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye wait",
    bin_name = "sockeye wait",
    about = "Waits until a running program, or one that is about to start, forwards.",
    help_template = TEMPLATE,
    after_help = after!("wait", "0 when it forwards, 1 when it did not in time"),
    disable_help_flag = true
)]
pub(crate) struct WaitArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(super) timeout: f64,
    /// Until this server forwards [default: all of them]
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// Until this can be connected to, in place of the server itself
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) probe: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye ping`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye ping",
    bin_name = "sockeye ping",
    about = "Opens a channel, tells how long each stage takes, and what was slow.",
    help_template = TEMPLATE,
    after_help = after!("ping", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct PingArgs {
    /// Where to, as host:port [default: the only server itself]
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: Option<String>,
    /// Over this server, whatever the rules say
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// How often
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub(super) count: u32,
    /// Send a HEAD of HTTP, and wait for the answer
    #[arg(long)]
    pub(super) http: bool,
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye top`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye top",
    bin_name = "sockeye top",
    about = "Shows a running program on the terminal, live: servers, connections, rules. Key ? has help.",
    help_template = TEMPLATE,
    after_help = after!("top", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct TopArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// Which connections are meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Those over this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Those of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Those to this host, or below it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Those that came in there
    #[arg(long, value_name = "LISTENER")]
    listener: Option<String>,
    /// Those of this proxy user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[arg(long, value_name = "STATE", help = "waiting, opening, relaying, half_closed or ended")]
    state: Option<String>,
    /// Those of this session
    #[arg(long, value_name = "ID")]
    session: Option<u64>,
    /// Those older than this, in seconds
    #[arg(long, value_name = "SECONDS")]
    older: Option<u64>,
    /// Those that carried at least so many bytes
    #[arg(long, value_name = "BYTES")]
    min_bytes: Option<u64>,
}

impl FilterArgs {
    /// As the query of a request; empty where nothing is said.
    pub(super) fn query(&self) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let older = self.older.map(|seconds| seconds.saturating_mul(1000));
        let all = [
            ("server", self.server.clone()),
            ("rule", self.rule.clone()),
            ("host", self.host.clone()),
            ("listener", self.listener.clone()),
            ("user", self.user.clone()),
            ("state", self.state.clone()),
            ("session", number(self.session)),
            ("older", number(older)),
            ("min_bytes", number(self.min_bytes)),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in all {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }
}

/// `sockeye connections`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye connections",
    bin_name = "sockeye connections",
    about = "Lists the connections of a running program.",
    help_template = TEMPLATE,
    after_help = after!("connections", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct ConnectionsArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    /// What happens from now on: connections that come and go
    #[arg(short, long)]
    pub(super) watch: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye kill`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye kill",
    bin_name = "sockeye kill",
    about = "Ends connections of a running program. Their clients are reset.",
    help_template = TEMPLATE,
    after_help = after!("kill", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct KillArgs {
    /// Their numbers, as `sockeye connections` shows them
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<u64>,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// All of them
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye forward`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye forward",
    bin_name = "sockeye forward",
    about = "Adds, lists and removes forwards of a running program.",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}",
    after_help = after!("forward", "0 when it is done, 1 when not"),
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct ForwardArgs {
    #[command(subcommand)]
    pub(super) action: ForwardAction,
    #[arg(short = 'h', long, help = "Show this help", action = ArgAction::Help)]
    help: (),
}

/// What is to be done about forwards.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ForwardAction {
    /// Adds forwards; they outlive reconnects and reloads, and end with the program
    Add(ForwardAddArgs),
    /// Lists listeners and forwards
    List(ForwardListArgs),
    /// Takes forwards back; what came in goes on
    Remove(ForwardRemoveArgs),
}

/// `sockeye forward add`.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ForwardAddArgs {
    #[command(flatten)]
    pub(super) specs: SpecArgs,
    /// Over this server [default: as the rules say; for -R the only one]
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// What the rules are to call it
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// Forwards in ssh's forms.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SpecArgs {
    /// Here, to a host on the far side
    #[arg(short = 'L', value_name = "[bind:]port:host:hostport")]
    pub(super) local: Vec<String>,
    /// There, to a host on this side, or a proxy
    #[arg(short = 'R', value_name = "[bind:]port[:host:hostport]")]
    pub(super) remote: Vec<String>,
    /// Here, a proxy
    #[arg(short = 'D', value_name = "[bind:]port")]
    pub(super) dynamic: Vec<String>,
}

/// `sockeye forward list`.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ForwardListArgs {
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye forward remove`.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ForwardRemoveArgs {
    /// Their numbers, as `sockeye forward list` shows them
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<u64>,
    #[command(flatten)]
    pub(super) specs: SpecArgs,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye reload`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye reload",
    bin_name = "sockeye reload",
    about = "Has a running program read its configuration again, and tells what came of it.",
    help_template = TEMPLATE,
    after_help = after!("reload", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct ReloadArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye stop`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye stop",
    bin_name = "sockeye stop",
    about = "Ends a running program. It lets nobody in any more, and waits up to 10 s for what runs.",
    help_template = TEMPLATE,
    after_help = after!("stop", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct StopArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Cut what runs
    #[arg(long)]
    pub(super) now: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye log`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "sockeye log",
    bin_name = "sockeye log",
    about = "Changes how much a running program logs.",
    help_template = TEMPLATE,
    after_help = after!("log", "0 when it is done, 1 when not"),
    disable_help_flag = true
)]
pub(crate) struct LogArgs {
    /// quiet, normal, debug or trace
    #[arg(value_name = "LEVEL")]
    pub(super) level: String,
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// The same for all that take a name as a word by itself.
macro_rules! named {
    ($($args:ty),*) => {$(
        impl $args {
            pub(super) fn which(&self) -> Which {
                self.which.which(self.name.as_ref())
            }
        }
    )*};
}

/// The same for all that take it as a flag only.
macro_rules! flagged {
    ($($args:ty),*) => {$(
        impl $args {
            pub(super) fn which(&self) -> Which {
                self.which.which(None)
            }
        }
    )*};
}

named!(StatusArgs, WaitArgs, TopArgs, ReloadArgs, StopArgs, LogArgs);
flagged!(PingArgs, ConnectionsArgs, KillArgs, ForwardListArgs, ForwardRemoveArgs);

impl ForwardAddArgs {
    pub(super) fn which(&self) -> Which {
        self.which.which(None)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tables_fit_the_commands() {
        StatusArgs::command().debug_assert();
        WaitArgs::command().debug_assert();
        TopArgs::command().debug_assert();
        PingArgs::command().debug_assert();
        ConnectionsArgs::command().debug_assert();
        KillArgs::command().debug_assert();
        ForwardArgs::command().debug_assert();
        ReloadArgs::command().debug_assert();
        StopArgs::command().debug_assert();
        LogArgs::command().debug_assert();
    }

    #[test]
    fn a_filter_is_a_query() {
        let args = KillArgs::try_parse_from(["kill", "--host", "a b&c", "--older", "3"]);
        assert_eq!(args.expect("good").filter.query(), "host=a+b%26c&older=3000");
        assert_eq!(FilterArgs::default().query(), "");
    }
}
