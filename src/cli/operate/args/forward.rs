//! The command lines of `sockeye forward`.

use clap::{Args, Parser, Subcommand};

use super::{Which, text};
use crate::forward::{LocalForward, LocalListen, RemoteForward};

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Adds, lists and removes forwards of a running program.",
    after_help = after!("0 when it is done, 1 when not"),
    disable_help_subcommand = true
)]
pub struct ForwardArgs {
    #[command(subcommand)]
    pub(in crate::cli::operate) action: ForwardAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ForwardAction {
    /// Adds forwards; they outlive reconnects and reloads, and end with the program
    Add {
        #[command(flatten)]
        specs: SpecArgs,
        /// Over this server [default: as the rules say; for -R the only one]
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// Its name in rules
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Lists listeners and forwards
    List {
        /// As JSON, an object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Removes forwards; open connections go on
    Remove {
        /// The ids that `sockeye forward list` shows
        #[arg(value_name = "ID")]
        ids: Vec<u64>,
        #[command(flatten)]
        specs: SpecArgs,
        #[command(flatten)]
        which: Which,
    },
}

/// Forwards, in the syntax of ssh.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SpecArgs {
    /// Listen here, connect from the server
    #[arg(short = 'L', value_name = "[bind:]port:host:hostport", value_parser = text::<LocalForward>)]
    pub(in crate::cli::operate) local: Vec<String>,
    /// Listen on the server, connect from here; without a target, a proxy
    #[arg(short = 'R', value_name = "[bind:]port[:host:hostport]", value_parser = text::<RemoteForward>)]
    pub(in crate::cli::operate) remote: Vec<String>,
    /// Listen here, as a proxy
    #[arg(short = 'D', value_name = "[bind:]port", value_parser = text::<LocalListen>)]
    pub(in crate::cli::operate) dynamic: Vec<String>,
}
