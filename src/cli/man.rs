//! `sockeye man`: the manual page.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory, Parser};
use clap_mangen::Man;

use super::cannot_write::CannotWrite;
use super::configured::{parse, say};
use super::subcommand;

/// `sockeye man`, judged.
#[derive(Clone, Debug)]
pub struct ManCommand {
    /// Where all pages are written to, in place of the one that is printed.
    directory: Option<PathBuf>,
}

/// The flags of `sockeye man`, as they were written.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye man",
    bin_name = "sockeye man",
    about = "Prints the manual page sockeye(1), or writes it and those of the commands.",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}",
    after_help = "To read it: sockeye man | man -l -\n\
                  A server whose name is `man` is `sockeye ssh://man`.\n",
    disable_help_flag = true,
    args_override_self = true
)]
struct ManArgs {
    /// Write sockeye.1, sockeye-check.1 and so on into DIR
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    #[arg(short = 'h', long, help = "Show this help", action = ArgAction::Help)]
    help: (),
}

impl ManCommand {
    pub(super) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: ManArgs = parse("sockeye man", words)?;
        Ok(Self { directory: args.directory })
    }

    pub(super) fn definition() -> clap::Command {
        ManArgs::command()
    }

    /// Prints or writes the pages.
    ///
    /// # Errors
    ///
    /// A page cannot be written.
    pub(super) fn run(&self) -> Result<(), CannotWrite> {
        let Some(directory) = &self.directory else {
            let (_, page) = pages().next().expect("the first is that of the program");
            say(&page);
            return Ok(());
        };
        pages().try_for_each(|(name, page)| write(&directory.join(name), &page))
    }
}

fn write(path: &Path, page: &str) -> Result<(), CannotWrite> {
    fs::write(path, page).map_err(|cause| CannotWrite { path: path.to_owned(), cause })
}

/// The pages by their names: that of the program, and one for each command.
fn pages() -> impl Iterator<Item = (String, String)> {
    let mut whole = subcommand::whole().version(env!("CARGO_PKG_VERSION"));
    whole.build();
    let commands: Vec<_> = whole.get_subcommands().cloned().collect();
    std::iter::once(whole)
        .chain(commands.into_iter().map(|command| {
            let name = format!("sockeye-{}", command.get_name());
            command.name(name)
        }))
        .map(|command| {
            let name = format!("{}.1", command.get_name());
            let mut page = Vec::new();
            // Memory takes all.
            let _ = Man::new(command).manual("User Commands").render(&mut page);
            (name, String::from_utf8_lossy(&page).into_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::subcommand::SUBCOMMANDS;

    #[test]
    fn the_program_and_each_command_have_a_page() {
        let pages: Vec<_> = pages().collect();
        assert_eq!(pages.len(), 1 + SUBCOMMANDS.len());
        let (name, page) = &pages[0];
        assert_eq!(name, "sockeye.1");
        assert!(page.contains(".TH sockeye 1") && page.contains("\\-\\-sessions"), "{page}");
        for ((name, page), subcommand) in pages[1..].iter().zip(SUBCOMMANDS) {
            assert_eq!(*name, format!("sockeye-{}.1", subcommand.name));
            assert!(page.contains(&format!(".TH sockeye-{} 1", subcommand.name)), "{page}");
        }
    }

    #[test]
    fn pages_are_written_into_a_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let command = ManCommand { directory: Some(directory.path().to_owned()) };
        command.run().expect("written");
        assert!(directory.path().join("sockeye-check.1").is_file());
        let missing = ManCommand { directory: Some(directory.path().join("none")) };
        let told = missing.run().expect_err("no directory").to_string();
        assert!(told.starts_with("cannot write ") && told.contains("sockeye.1: "), "{told}");
    }
}
