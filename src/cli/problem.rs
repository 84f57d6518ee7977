//! Problems of a command line that `clap` could parse.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::printable::line;

use super::flags::Flag;

/// A problem. Words of the user are escaped and in quotes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A flag of ssh that is not accepted here.
    #[error("{}", refused(*.0))]
    Refused(char),
    #[error(
        "a command to run on the server ('{}') has no meaning here: sockeye only forwards; use ssh for it",
        line(.0)
    )]
    RemoteCommand(String),
    #[error("--dashboard needs '=' before its address: --dashboard={}", line(.0))]
    DetachedAddress(String),
    /// A value that is not valid.
    #[error("{flag} '{}': {}", line(.text), line(.why))]
    Value { flag: &'static str, text: String, why: String },
    #[error("{0} has no effect without --dashboard")]
    NoDashboard(&'static str),
    #[error("-W is given twice: standard input can have one target only; leave one out")]
    TwoStdioForwards,
    #[error("-W with -f: there is no standard input in the background; use one of them")]
    StdioInBackground,
    /// A proxy (`-D`, or `-R` without a target) that other machines could use without a password.
    #[error(
        "-{flag} '{}': other machines could use this proxy; ask for a password with --proxy-auth FILE, \
         or allow it with --allow-remote",
        line(.text)
    )]
    OpenToAll { flag: char, text: String },
    #[error("-J is given more than once; separate several jump hosts with commas")]
    SeveralJumps,
    /// Neither a host nor a configuration file.
    #[error("{}", no_server(.looked.as_deref()))]
    NoServer {
        /// The place where the file was looked for; `None` without a home directory.
        looked: Option<PathBuf>,
    },
    #[error(
        "a host and --config exclude each other: write [server.NAME] with the host into the file"
    )]
    HostAndFile,
    #[error("{flag} cannot be used with a configuration file: write {instead}")]
    BelongsToFile { flag: &'static str, instead: String },
}

impl Problem {
    /// A problem with the value of a flag.
    pub(super) fn value(flag: &'static str, text: &str, why: impl fmt::Display) -> Self {
        Self::Value { flag, text: text.to_owned(), why: why.to_string() }
    }
}

fn refused(flag: char) -> String {
    match Flag::find(flag) {
        Some(flag) => flag.to_string(),
        None => format!("-{flag} is not supported"),
    }
}

fn no_server(looked: Option<&Path>) -> String {
    match looked {
        None => "no SSH server is named".to_owned(),
        Some(path) => format!(
            "no SSH server is named, and there is no configuration file ({} is not there); name a host or \
             --config FILE, or write one with `sockeye init`",
            line(&path.to_string_lossy())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_off_loopback_gets_both_remedies() {
        let text = Problem::OpenToAll { flag: 'D', text: "*:1080".into() }.to_string();
        for part in ["'*:1080'", "other machines", "--proxy-auth FILE", "--allow-remote"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn text_of_the_user_cannot_move_the_cursor() {
        let text = Problem::value("-D", "\x1b[2J\n", "no\rgood").to_string();
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    }
}
