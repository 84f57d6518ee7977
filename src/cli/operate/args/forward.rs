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
    Add(ForwardAddArgs),
    /// Lists listeners and forwards
    List(ForwardListArgs),
    /// Removes forwards; open connections go on
    Remove(ForwardRemoveArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ForwardAddArgs {
    #[command(flatten)]
    pub(in crate::cli::operate) specs: SpecArgs,
    /// Over this server [default: as the rules say; for -R the only one]
    #[arg(long, value_name = "SERVER")]
    pub(in crate::cli::operate) server: Option<String>,
    /// Its name in rules
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli::operate) name: Option<String>,
    #[command(flatten)]
    pub(in crate::cli::operate) which: Which,
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

#[derive(Clone, Debug, Args)]
pub(crate) struct ForwardListArgs {
    /// As JSON, an object a line
    #[arg(long)]
    pub(in crate::cli::operate) json: bool,
    #[command(flatten)]
    pub(in crate::cli::operate) which: Which,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ForwardRemoveArgs {
    /// The ids that `sockeye forward list` shows
    #[arg(value_name = "ID")]
    pub(in crate::cli::operate) ids: Vec<u64>,
    #[command(flatten)]
    pub(in crate::cli::operate) specs: SpecArgs,
    #[command(flatten)]
    pub(in crate::cli::operate) which: Which,
}
