//! What is common to all commands that read the configuration file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Config, Mistake, Mistakes};
pub(super) use crate::printable::path as shown;
use crate::printable::{Lines, printable};
use crate::task;

use super::progress::Bar;

/// The configuration file: that of `--config`, or else the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ConfigFile {
    /// The configuration [default: ~/.config/sockeye/config.toml]
    #[arg(long = "config", value_name = "FILE")]
    pub named: Option<PathBuf>,
}

/// Why a configuration cannot be used. The mistake is in the command line or a file: exit status 2.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FileError {
    /// No file was named, and there is no home directory to look for one.
    #[error("no configuration: name one with --config FILE")]
    Homeless,
    /// No file was named, and the default one does not exist.
    #[error(
        "no configuration: {} is not there; name one with --config FILE, or write one with `sockeye init`",
        shown(.0)
    )]
    Missing(PathBuf),
    /// It has mistakes, which have been printed.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    #[error("no listener has a TCP port of its own, which is all that a browser can use")]
    NoProxy,
    /// Several instances are running, with a listener each.
    #[error("several proxies are running: name one of {0} with --proxy")]
    WhichProxy(String),
    #[error("there is no listener {wanted}; the listeners are {known}")]
    NoListener {
        /// The listener that was asked for, in quotes.
        wanted: String,
        known: String,
    },
    /// The forward has only one target, and the request is for another.
    #[error("the forward {forward} leads to {to} only")]
    OneTarget {
        /// The forward's name, in quotes.
        forward: String,
        to: String,
    },
}

impl ConfigFile {
    /// The path of the file to read.
    pub fn path(&self) -> Result<PathBuf, FileError> {
        if let Some(named) = &self.named {
            return Ok(named.clone());
        }
        let default = config::default_path().ok_or(FileError::Homeless)?;
        if default.exists() { Ok(default) } else { Err(FileError::Missing(default)) }
    }

    /// Reads the file in a blocking task, since lists may be long and file systems slow. Mistakes go to
    /// standard error.
    ///
    /// # Cancel safety
    ///
    /// The task goes on when the future is dropped, and its result is discarded.
    pub async fn load(&self) -> Result<Config, FileError> {
        let path = self.path()?;
        let load = move || Config::load(&path, None, &mut Bar::default());
        let loaded = task::blocking(load).await;
        let mistakes = match &loaded {
            Ok((_, warnings)) => warnings,
            Err(error) => &error.mistakes,
        };
        report(mistakes);
        Ok(loaded?.0)
    }
}

/// Writes mistakes to standard error.
pub(super) fn report(mistakes: &[Mistake]) {
    let mut out = io::stderr().lock();
    for (severity, line) in config::lines(mistakes) {
        // A closed output is not an error.
        let _ = writeln!(out, "{severity}: {line}");
    }
}

/// Writes to standard output.
pub(super) fn say(text: &str) {
    // A closed output is not an error.
    let _ = say_on(text);
}

/// Writes to standard output, for a command that runs until its output is closed.
pub(super) fn say_on(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// Joins values with commas.
pub(super) fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The context for an error in writing a file.
pub(super) fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", shown(path))
}

/// Quotes a word, escaped for a terminal.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", printable(word, MAX_WORD, Lines::One))
}

/// The most characters of a word that are shown.
const MAX_WORD: usize = 100;
