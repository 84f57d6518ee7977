//! The command lines of the commands to a running program.

use std::path::PathBuf;

use clap::{Args, Parser};

/// The end of a help page.
macro_rules! after {
    ($status:literal) => {
        concat!("Exit status: ", $status, ", 3 when none is running.")
    };
}

mod connections;
mod forward;

pub(crate) use connections::{ConnectionsArgs, KillArgs};
pub(crate) use forward::{
    ForwardAction, ForwardAddArgs, ForwardArgs, ForwardListArgs, ForwardRemoveArgs, SpecArgs,
};

/// The running program that a command is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Which {
    /// The running program of this name
    #[arg(id = "instance", short = 'n', long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// The running program with this control socket
    #[arg(id = "control", short = 'S', long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// The same, where the name may be a word by itself.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    word: Option<String>,
    #[command(flatten)]
    which: Which,
}

impl From<Named> for Which {
    fn from(Named { word, which }: Named) -> Self {
        Self { name: word.or(which.name), ..which }
    }
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Shows the running programs, whether they work, and if not, why.",
    after_help = after!("0 when all is up, 1 when something is down")
)]
pub struct StatusArgs {
    /// The running program [default: all of them]
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Print nothing, only set the exit status
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Waits until a program that runs, or is about to start, forwards connections.",
    after_help = after!("0 when it forwards, 1 when it did not in time")
)]
pub struct WaitArgs {
    /// Seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(super) timeout: f64,
    /// Wait for this server [default: all of them]
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// Wait until this destination can be reached, not only the server
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) probe: Option<String>,
    #[command(flatten)]
    pub(super) which: Named,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Opens a channel, and shows how long each stage takes and what was slow.",
    after_help = after!("0 when one was opened, 1 when none")
)]
pub struct PingArgs {
    /// The destination, as host:port [default: the server itself, if there is one only]
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: Option<String>,
    /// Over this server, whatever the rules say
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// Number of pings
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) count: u32,
    /// Send an HTTP HEAD, and wait for the answer
    #[arg(long)]
    pub(super) http: bool,
    /// As JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints a link to the dashboard of a running program. It lets one browser in, once, for 10 minutes.",
    after_help = after!("0 when there is one, 1 when not")
)]
pub struct DashboardArgs {
    /// Open it in the default browser instead of printing it
    #[arg(short, long, conflicts_with = "token")]
    pub(super) open: bool,
    /// Print the token for scripts, which goes into `Authorization: Bearer`
    #[arg(long)]
    pub(super) token: bool,
    #[command(flatten)]
    pub(super) which: Named,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Stops a running program, and returns at once; its open connections have up to 10 s to end.",
    after_help = after!("0 when it stops, 1 when not")
)]
pub struct StopArgs {
    /// Cut open connections at once
    #[arg(long)]
    pub(super) now: bool,
    #[command(flatten)]
    pub(super) which: Named,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Changes how much a running program logs.",
    after_help = after!("0 when it is done, 1 when not")
)]
pub struct LogArgs {
    /// quiet, normal, debug or trace
    #[arg(value_name = "LEVEL")]
    pub(super) level: String,
    #[command(flatten)]
    pub(super) which: Named,
}
