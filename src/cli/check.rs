//! `sockeye check`: all that can be known of a configuration without connecting.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser};

use crate::config::changes::counted;
use crate::config::{Config, Mistake, Mistakes, Severity};
use crate::openssh::{ClientConfig, ConfigSource};

use super::configured::{self, ConfigFile, FileError, parse};

/// `sockeye check`, judged.
#[derive(Clone, Debug)]
pub struct CheckCommand {
    /// The file to check.
    pub file: ConfigFile,
}

/// The flags of `sockeye check`, as they were written.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye check",
    bin_name = "sockeye check",
    about = "Tells all that can be known of a configuration without connecting: exit status 0 or 2.",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}",
    after_help = "A server whose name is `check` is `sockeye ssh://check`.\n",
    disable_help_flag = true,
    args_override_self = true
)]
struct CheckArgs {
    /// The file [default: ~/.config/sockeye/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[arg(short = 'h', long, help = "Show this help", action = ArgAction::Help)]
    help: (),
}

impl CheckCommand {
    /// What it takes.
    pub(super) fn definition() -> clap::Command {
        CheckArgs::command()
    }

    /// Reads the command line after `sockeye check`.
    ///
    /// # Errors
    ///
    /// What `clap` cannot read, and `--help`.
    pub(super) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: CheckArgs = parse("sockeye check", words)?;
        Ok(Self { file: ConfigFile(args.config) })
    }
}

/// Checks the file, its lists and its files of passwords, and asks `ssh -G` about each server.
/// What is wrong goes to standard error, a summary to standard output.
///
/// # Errors
///
/// There is no file to check, or it has mistakes.
pub async fn run(command: &CheckCommand) -> Result<(), FileError> {
    let config = command.file.load().await?;
    let mistakes = ask_ssh(&config).await;
    configured::tell(&mistakes);
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(Mistakes { mistakes, files: config.files }.into());
    }
    configured::say(&format!("{}\n", summary(&config)));
    Ok(())
}

/// What `ssh -G` says against the servers.
async fn ask_ssh(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for server in &config.servers {
        match ClientConfig::query(&server.server, &server.ssh).await {
            Ok((_, ConfigSource::Ssh)) => {}
            Ok((_, ConfigSource::Defaults)) => {
                let what = "there is no ssh on the PATH: ssh_config is not read";
                mistakes.push(config.mistake_of(server, Severity::Warning, what));
                break;
            }
            Err(error) => {
                let what = format!("{:#}", anyhow::Error::new(error));
                mistakes.push(config.mistake_of(server, Severity::Error, &what));
            }
        }
    }
    mistakes
}

/// `FILE: 2 listeners, 1 server, 12 rules, 1000000 list entries, 0 forwards`.
fn summary(config: &Config) -> String {
    let parts = [
        counted(config.listeners.len(), "listener"),
        counted(config.servers.len(), "server"),
        counted(config.rules, "rule"),
        counted(config.forwards.len(), "forward"),
    ];
    let entries = config.entries();
    let lists = if entries > 0 { format!(", {entries} entries of lists") } else { String::new() };
    format!("{}: {}{lists}", configured::shown(&config.file), parts.join(", "))
}
