//! The flags of the commands to a running program, as they were written.

use std::path::PathBuf;

use clap::{Args, Parser};

use super::instance::Which;

/// What stands at the end of a help page.
macro_rules! after {
    ($status:literal) => {
        concat!("Exit status: ", $status, ", 3 when nothing runs.")
    };
}

/// The same for all that take a name as a word by itself.
macro_rules! named {
    ($($args:ty),*) => {$(
        impl $args {
            pub(in crate::cli::operate) fn which(&self) -> Which {
                self.which.which(self.name.as_ref())
            }
        }
    )*};
}

/// The same for all that take it as a flag only.
macro_rules! flagged {
    ($($args:ty),*) => {$(
        impl $args {
            pub(in crate::cli::operate) fn which(&self) -> Which {
                self.which.which(None)
            }
        }
    )*};
}

mod connections;
mod forward;

pub(crate) use connections::{ConnectionsArgs, KillArgs};
pub(crate) use forward::{
    ForwardAction, ForwardAddArgs, ForwardArgs, ForwardListArgs, ForwardRemoveArgs, SpecArgs,
};

/// Which running program is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WhichArgs {
    /// The running program of this name
    #[arg(short = 'n', long = "instance", value_name = "NAME")]
    instance: Option<String>,

    /// The running program with this control socket
    #[arg(short = 'S', long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl WhichArgs {
    fn which(&self, name: Option<&String>) -> Which {
        let name = name.or(self.instance.as_ref()).cloned();
        Which { name, socket: self.control.clone() }
    }
}

/// `sockeye status`.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Tells what runs, whether it works, and why not.",
    after_help = after!("0 when all is up, 1 when something is down")
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
    about = "Waits until a running program, or one that is about to start, forwards.",
    after_help = after!("0 when it forwards, 1 when it did not in time")
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
    about = "Opens a channel, tells how long each stage takes, and what was slow.",
    after_help = after!("0 when it is done, 1 when not")
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
    about = "Shows a running program on the terminal, live: servers, connections, rules. Key ? has help.",
    after_help = after!("0 when it is done, 1 when not")
)]
pub(crate) struct TopArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye dashboard`.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints a link to the dashboard of a running program. It lets one browser in, once, for 10 minutes.",
    after_help = after!("0 when there is one, 1 when not")
)]
pub(crate) struct DashboardArgs {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Open it in the browser of the desktop, in place of printing it
    #[arg(short, long, conflicts_with = "token")]
    pub(super) open: bool,
    /// Print what scripts send as `Authorization: Bearer`
    #[arg(long)]
    pub(super) token: bool,
    #[command(flatten)]
    which: WhichArgs,
}

/// `sockeye reload`.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Has a running program read its configuration again, and tells what came of it.",
    after_help = after!("0 when it is done, 1 when not")
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
    about = "Ends a running program. It lets nobody in any more, and waits up to 10 s for what runs.",
    after_help = after!("0 when it is done, 1 when not")
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
    about = "Changes how much a running program logs.",
    after_help = after!("0 when it is done, 1 when not")
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

named!(StatusArgs, WaitArgs, TopArgs, DashboardArgs, ReloadArgs, StopArgs, LogArgs);
flagged!(PingArgs);

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tables_fit_the_commands() {
        StatusArgs::command().debug_assert();
        WaitArgs::command().debug_assert();
        TopArgs::command().debug_assert();
        DashboardArgs::command().debug_assert();
        PingArgs::command().debug_assert();
        ConnectionsArgs::command().debug_assert();
        KillArgs::command().debug_assert();
        ForwardArgs::command().debug_assert();
        ReloadArgs::command().debug_assert();
        StopArgs::command().debug_assert();
        LogArgs::command().debug_assert();
    }
}
