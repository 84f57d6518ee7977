//! The subcommands: their parser and their list, and the definition from which help, completions and
//! manual pages are generated.

use std::ffi::OsString;

use clap::{Arg, ArgAction, FromArgMatches, Subcommand as _};

use super::args::{Args, DemoArgs};
use super::check::{CheckArgs, CheckCommand};
use super::command::{Command, DemoCommand};
use super::desktop::{BrowserArgs, BrowserCommand};
use super::errand::Errand;
use super::exit::Exit;
use super::operate::OperateCommand;
use crate::app;
use crate::config::nearest;
use crate::guide::TOPICS;
use crate::ssh::{ConnectError, ReachError};

/// A subcommand. A server of the same name is written `ssh://NAME`.
#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Check(CheckArgs),
    Demo(DemoArgs),
    #[command(flatten)]
    Operate(OperateCommand),
    Browser(BrowserArgs),
    #[command(flatten)]
    Errand(Errand),
}

/// Reads a command line that begins with the name of a subcommand.
pub(super) fn read(words: &[OsString]) -> Result<Command, Exit> {
    let mut all = all();
    let about = help_of_a_command(words).map(|name| [name, OsString::from("--help")]);
    let words = about.as_ref().map_or(words, |words| words);
    let program = OsString::from("sockeye");
    let matches = all.try_get_matches_from_mut(std::iter::once(&program).chain(words))?;
    let read = Subcommand::from_arg_matches(&matches).map_err(|error| error.format(&mut all))?;
    Ok(match read {
        Subcommand::Check(args) => Command::Check(CheckCommand::validate(args)?),
        Subcommand::Demo(args) => Command::Demo(DemoCommand::validate(&args)?),
        Subcommand::Operate(command) => Command::Operate(command),
        Subcommand::Browser(args) => {
            Command::Errand(Errand::Browser(BrowserCommand::validate(args)?))
        }
        Subcommand::Errand(errand) => Command::Errand(errand),
    })
}

/// The COMMAND of `sockeye help COMMAND`, unless the guide has a page of this name.
fn help_of_a_command(words: &[OsString]) -> Option<OsString> {
    let [help, name] = words else { return None };
    let is_page = TOPICS.iter().any(|topic| *name == *topic.name);
    let is_command = || names().iter().any(|known| *name == **known);
    (help == "help" && !is_page && is_command()).then(|| name.clone())
}

/// The names of the subcommands, in the order of the list.
pub(super) fn names() -> Vec<String> {
    all().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The command that was perhaps meant where a server's name does not resolve.
pub fn meant(error: &anyhow::Error) -> Option<String> {
    let app::Error::Connect { server, cause } = error.downcast_ref()? else { return None };
    let ConnectError::Reach(ReachError::Resolve { .. }) = cause else { return None };
    let names = names();
    nearest(server, names.iter().map(String::as_str)).map(str::to_owned)
}

/// A line for each: its name, and what it does.
pub(super) fn table() -> String {
    let all = all();
    let width = all.get_subcommands().map(|command| command.get_name().len()).max();
    let width = width.unwrap_or_default();
    let line = |command: &clap::Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:width$}  {about}\n", command.get_name())
    };
    all.get_subcommands().map(line).collect()
}

/// The definition of the whole command line: the flags of the proxy, and the subcommands.
pub(super) fn whole() -> clap::Command {
    Args::full_command()
        .disable_help_subcommand(true)
        .subcommands(all().get_subcommands().cloned().collect::<Vec<_>>())
}

/// The subcommands alone.
fn all() -> clap::Command {
    Subcommand::augment_subcommands(clap::Command::new("sockeye"))
        .disable_help_subcommand(true)
        .mut_subcommands(shaped)
}

/// Adds what all subcommands have in common: `-h`, and the layout of the help.
fn shaped(command: clap::Command) -> clap::Command {
    let name = command.get_name();
    let mut after = format!("A server whose name is `{name}` is `sockeye ssh://{name}`.\n");
    if let Some(own) = command.get_after_help() {
        after = format!("{own}\n{after}");
    }
    let help = Arg::new("help").short('h').long("help").help("Show this help");
    command
        .help_template("{about}\n\nUsage: {usage}\n\n{all-args}{after-help}")
        .after_help(after)
        .args_override_self(true)
        .disable_help_flag(true)
        .arg(help.action(ArgAction::Help).global(true))
}

/// The lines of the help that list the subcommands.
pub(super) fn listing() -> String {
    let mut lines = vec!["Commands (`sockeye help` says what each does):".to_owned()];
    let names = names();
    for (n, name) in names.iter().enumerate() {
        let word = if n + 1 < names.len() { format!(" {name},") } else { format!(" {name}") };
        if lines.last().is_some_and(|line| line.len() + word.len() > WIDTH) {
            lines.push(" ".to_owned());
        }
        lines.last_mut().expect("there is one").push_str(&word);
    }
    lines.join("\n")
}

/// The width of a line in characters.
const WIDTH: usize = 98;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_passes_the_checks_of_clap() {
        whole().debug_assert();
    }

    #[test]
    fn each_has_a_help_that_says_how_to_name_a_server_like_it() {
        for name in names() {
            let help = read(&[name.clone().into(), "--help".into()]);
            let Err(Exit::Help(text)) = help else { panic!("{name}: no help") };
            assert!(text.contains(&format!("Usage: sockeye {name}")), "{text}");
            assert!(text.contains(&format!("`sockeye ssh://{name}`")), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }

    #[test]
    fn help_knows_the_commands_too() {
        let help = |name: &str| read(&["help".into(), name.into()]);
        let Err(Exit::Help(text)) = help("status") else { panic!("no help") };
        assert!(text.contains("Usage: sockeye status"), "{text}");
        // The guide's page says more than the command's help.
        assert!(matches!(help("service"), Ok(Command::Errand(Errand::Help(_)))));
        assert!(matches!(help("nothing"), Err(Exit::Unreadable(_))));
        let table = table();
        assert!(
            names().iter().all(|name| table.contains(&format!("\n  {name} "))
                || table.starts_with(&format!("  {name} "))),
            "{table}"
        );
        assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    }

    #[test]
    fn all_are_listed() {
        let listing = listing();
        assert!(names().iter().all(|name| listing.contains(name)), "{listing}");
        assert!(listing.lines().all(|line| line.len() <= WIDTH), "{listing}");
    }
}
