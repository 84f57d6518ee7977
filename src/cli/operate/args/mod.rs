//! The command lines of the commands to a running program.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser};
use strum::VariantArray as _;

use crate::destination::Destination;
use crate::observe::logs::Verbosity;

/// The end of a command's help.
macro_rules! after {
    ($status:literal) => {
        concat!("Exit status: ", $status, ", 3 when none is running.")
    };
}

mod connections;
mod forward;

pub(crate) use connections::{ConnectionsArgs, KillArgs};
pub(crate) use forward::{ForwardAction, ForwardArgs, SpecArgs};

/// The running program to which a command is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Which {
    /// The running program of this name
    #[arg(id = "instance", short = 'n', long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// The running program with this control socket
    #[arg(id = "control", short = 'S', long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// The same, with the name also allowed as a word by itself.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The running program [default: the only one]
    #[arg(value_name = "NAME")]
    word: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// A parser for the words of a closed set.
fn words<T: Copy + Into<&'static str>>(all: &[T]) -> PossibleValuesParser {
    PossibleValuesParser::new(all.iter().map(|one| -> &'static str { (*one).into() }))
}

/// Checks that the text parses as `T`, and returns it as it is; the running program parses it again.
fn text<T: FromStr<Err: Display>>(text: &str) -> Result<String, String> {
    text.parse::<T>().map(|_| text.to_owned()).map_err(|why| why.to_string())
}

/// Parses a host and a port, as the running program does.
fn destination(text: &str) -> Result<String, String> {
    Destination::parse(text, None).map(|_| text.to_owned()).map_err(|why| why.to_string())
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
    after_help = "Exit status: 0 when it forwards, 1 when it did not in time, or none is running."
)]
pub struct WaitArgs {
    /// Seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(super) timeout: f64,
    /// Wait for this server [default: all of them]
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
    /// Wait until this destination can be reached, not only the server
    #[arg(long, value_name = "HOST:PORT", value_parser = destination)]
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
    #[arg(value_name = "DESTINATION", value_parser = destination)]
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
    about = "Prints a link to the dashboard. It lets one browser in, once, for 10 minutes.",
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
    about = "Stops a running program. Its open connections have up to 10 s to end.",
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
    #[arg(
        value_name = "LEVEL",
        value_parser = words(Verbosity::VARIANTS),
        hide_possible_values = true
    )]
    pub(super) level: String,
    #[command(flatten)]
    pub(super) which: Named,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_arguments_are_not_sent() {
        let log = |level| LogArgs::try_parse_from(["log", level]).is_ok();
        assert!(log("debug") && !log("loud"));
        let state = |state| ConnectionsArgs::try_parse_from(["c", "--state", state]).is_ok();
        assert!(state("half_closed") && !state("foo"));
        let ping = |destination| PingArgs::try_parse_from(["ping", destination]).is_ok();
        assert!(ping("foo.bar:80") && ping("[::1]:22") && !ping("foo.bar"));
        let wait = |probe| WaitArgs::try_parse_from(["wait", "--probe", probe]).is_ok();
        assert!(wait("foo.bar:80") && !wait("foo.bar"));
        for (flag, good) in [("-L", "1:db:2"), ("-R", "1:db:2"), ("-R", "1"), ("-D", "*:1")] {
            let add = |spec| ForwardArgs::try_parse_from(["forward", "add", flag, spec]).is_ok();
            assert!(add(good) && !add("nonsense"), "{flag} {good}");
        }
    }
}
