//! `sockeye man`: the manual pages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use clap::builder::Resettable;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::configured::{cannot_write, say};
use super::subcommand;
use crate::guide::TOPICS;

mod markdown;

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints a manual page, or writes all of them.",
    after_help = "To read it: sockeye man sockeye.toml | man -l -"
)]
pub struct ManCommand {
    /// sockeye, sockeye.toml, or sockeye-COMMAND
    #[arg(value_name = "PAGE", default_value = "sockeye", value_parser = existing)]
    page: String,

    /// Write sockeye.1, sockeye.toml.5, sockeye-check.1 and so on into DIR
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    directory: Option<PathBuf>,
}

impl ManCommand {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        if let Some(directory) = &self.directory {
            return pages().try_for_each(|(name, page)| write(&directory.join(name), &page));
        }
        let is_it = |(name, _): &(String, String)| {
            name.rsplit_once('.').is_some_and(|(stem, _)| stem == self.page)
        };
        if let Some((_, page)) = pages().find(is_it) {
            say(&page);
        }
        Ok(())
    }
}

fn write(path: &Path, page: &str) -> anyhow::Result<()> {
    fs::write(path, page).with_context(|| cannot_write(path))
}

/// Checks that the page exists.
fn existing(page: &str) -> Result<String, String> {
    let commands = subcommand::names().into_iter().map(|name| format!("sockeye-{name}"));
    let mut names = ["sockeye", "sockeye.toml"].map(String::from).into_iter().chain(commands);
    match names.find(|name| name == page) {
        Some(name) => Ok(name),
        None => Err("there is no such page".to_owned()),
    }
}

/// The pages, by file name: the program, its configuration file, and each command.
fn pages() -> impl Iterator<Item = (String, String)> {
    let mut whole = subcommand::whole()
        .version(env!("CARGO_PKG_VERSION"))
        .long_about(DESCRIPTION)
        .after_help(Resettable::Reset);
    // The help is limited to one screen, and omits these.
    for flag in ["dashboard_files", "dashboard_token", "tag"] {
        whole = whole.mut_arg(flag, |arg| arg.hide(false));
    }
    whole.build();
    let commands: Vec<_> = whole.get_subcommands().cloned().collect();
    let (name, page) = page(whole);
    let commands = commands.into_iter().map(|command| {
        let name = format!("sockeye-{}", command.get_name());
        self::page(command.name(name))
    });
    [(name, page + SECTIONS), configuration()].into_iter().chain(commands)
}

/// The page of the configuration file, which is a page of the guide.
fn configuration() -> (String, String) {
    let mut roff = Roff::new();
    let version = concat!("sockeye ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["sockeye.toml", "5", NO_DATE, version, "File Formats"]);
    roff.control("SH", ["NAME"]).text([roman("sockeye.toml - the configuration file of sockeye")]);
    let topic = TOPICS.iter().find(|topic| topic.name == "configuration");
    markdown::append(&mut roff, topic.expect("a page of the guide").text);
    let [other, section] = [bold("sockeye"), roman("(1)")];
    roff.control("SH", ["SEE ALSO"]).text([other, section]);
    ("sockeye.toml.5".into(), roff.render())
}

fn page(command: clap::Command) -> (String, String) {
    let name = format!("{}.1", command.get_name());
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = Man::new(command).date(NO_DATE).manual("User Commands").render(&mut page);
    (name, String::from_utf8_lossy(&page).into_owned())
}

/// An empty word: otherwise the version takes the place of the date.
const NO_DATE: &str = "\"\"";

/// The program's page, before the flags.
const DESCRIPTION: &str = "\
sockeye listens on one local port for SOCKS4, SOCKS4a, SOCKS5, HTTP CONNECT and plain HTTP, and forwards \
each request over SSH, as ssh -D does. It keeps one or more SSH connections to the server, as the traffic \
needs, and reconnects when they are lost. ssh_config(5), keys, the agent and known_hosts are used as ssh \
uses them.

Without a host, it runs a configuration file with servers, rules and forwards.

Flags of ssh that have no effect here (-N, -T, -n, -a and others) are accepted; -v names them.";

/// The program's page, after the commands.
const SECTIONS: &str = r#".SH "EXIT STATUS"
.TP
0
a clean stop
.TP
1
the server cannot be reached or refuses the login, or an address to listen on is not available
.TP
2
a wrong command line, or a mistake in a file that it names
.TP
128 + N
signal N ended it before it was up, or was the second one
.PP
The pages of the commands have theirs.
.SH FILES
.TP
~/.config/sockeye/config.toml
the configuration file,
.BR sockeye.toml (5);
XDG_CONFIG_HOME is honoured
.TP
$XDG_RUNTIME_DIR/sockeye/NAME.sock
the control socket
.TP
~/.local/state/sockeye/lines.json
the measured rate of the line to each server; XDG_STATE_HOME is honoured
.SH "SEE ALSO"
.BR sockeye.toml (5),
.BR ssh (1),
.BR ssh_config (5),
.BR sshd_config (5).
.PP
The guide is shown by
.BR "sockeye help" .
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_and_each_command_have_a_page() {
        let pages: Vec<_> = pages().collect();
        assert_eq!(pages.len(), 2 + subcommand::names().len());
        let (name, page) = &pages[0];
        assert_eq!(name, "sockeye.1");
        for part in [".TH sockeye 1", "\\-\\-sessions", "\\-\\-dashboard\\-token", "EXIT STATUS"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        for ((name, page), command) in pages[2..].iter().zip(subcommand::names()) {
            assert_eq!(*name, format!("sockeye-{command}.1"));
            assert!(page.contains(&format!(".TH sockeye-{command} 1")), "{page}");
        }
    }

    #[test]
    fn all_pages_are_written_to_a_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let command =
            ManCommand { page: String::new(), directory: Some(directory.path().to_owned()) };
        command.run().expect("written");
        assert!(directory.path().join("sockeye-check.1").is_file());
        let missing = ManCommand { directory: Some(directory.path().join("none")), ..command };
        let told = format!("{:#}", missing.run().expect_err("no directory"));
        assert!(told.starts_with("cannot write ") && told.contains("sockeye.1: "), "{told}");
    }
}
