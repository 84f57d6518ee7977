//! The texts that are shown instead of running anything: help, versions, problems.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;

use super::problem::Problem;
use super::version;

/// A command line that leaves nothing to run.
#[derive(Debug)]
pub enum Exit {
    /// The complete text of `--help`.
    Help(String),
    /// `--version`.
    Version,
    /// The error of `clap`, in its words.
    Unreadable(String),
    /// The problems of a command line that `clap` could read; at least one.
    Wrong(Vec<Problem>),
}

impl Exit {
    /// The exit status: 0 if the user asked for the text, 2 for a wrong command line.
    pub fn status(&self) -> u8 {
        match self {
            Self::Help(_) | Self::Version => 0,
            Self::Unreadable(_) | Self::Wrong(_) => WRONG_COMMAND_LINE,
        }
    }

    /// Prints the text to standard output or standard error. A closed output is not an error.
    pub fn print(&self) -> ExitCode {
        let text = self.text();
        let _ = match self.status() {
            0 => io::stdout().lock().write_all(text.as_bytes()),
            _ => io::stderr().lock().write_all(text.as_bytes()),
        };
        ExitCode::from(self.status())
    }

    fn text(&self) -> String {
        match self {
            Self::Help(text) | Self::Unreadable(text) => text.clone(),
            Self::Version => version::report(),
            Self::Wrong(problems) => {
                let mut text = String::new();
                for problem in problems {
                    let _ = writeln!(text, "error: {problem}");
                }
                text.push_str("Try 'sockeye --help'.\n");
                text
            }
        }
    }
}

impl From<clap::Error> for Exit {
    fn from(error: clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp => Self::Help(error.render().to_string()),
            ErrorKind::DisplayVersion => Self::Version,
            _ => Self::Unreadable(error.render().to_string()),
        }
    }
}

impl From<Vec<Problem>> for Exit {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Wrong(problems)
    }
}

/// The exit status for a wrong command line.
const WRONG_COMMAND_LINE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_a_line_of_its_own() {
        let text = Exit::Wrong(vec![Problem::SeveralJumps, Problem::Refused('X')]).text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("error: -J is given"), "{text}");
        assert!(lines[1].starts_with("error: -X "), "{text}");
    }
}
