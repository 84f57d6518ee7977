//! The cases: what a server presents, what the files contain, and the verdict of OpenSSH 9.2.

use super::stage::{CA, Shows, Stage};

mod algorithms;
mod certificates;
mod files;
mod lines;

/// A case.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) shows: Shows,
    pub(super) files: Content,
    /// Additional lines of `ssh_config`; `DIR` stands for the directory of the files.
    pub(super) options: &'static [&'static str],
    /// The verdict of `ssh` for `StrictHostKeyChecking` yes, ask, accept-new and no: Accepts,
    /// Refuses or asks (Q).
    pub(super) ssh: &'static str,
    pub(super) ours: OursWhere,
}

/// A file name, with its content, or `None` for a directory.
pub(super) type NamedFile = (&'static str, Option<String>);

/// The files that mention the server.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The first file of the user.
    User(fn(&Stage) -> String),
    /// Several files, by name; one without content is a directory.
    Several(fn(&Stage) -> Vec<NamedFile>),
}

impl Content {
    pub(super) fn of(self, stage: &Stage) -> Vec<NamedFile> {
        match self {
            Self::User(content) => vec![("user", Some(content(stage)))],
            Self::Several(files) => files(stage),
        }
    }
}

/// The verdict that is expected of this program.
pub(super) enum OursWhere {
    /// The same as that of `ssh`.
    Same,
    /// A refusal, for this reason, where `ssh` may be more lenient.
    Refused(#[expect(dead_code, reason = "for readers of the table")] &'static str),
}

pub(super) fn all() -> Vec<Case> {
    [lines::all(), files::all(), algorithms::all(), certificates::all()]
        .into_iter()
        .flatten()
        .collect()
}

/// A case with only a user's file.
fn user(
    name: &'static str,
    shows: Shows,
    content: fn(&Stage) -> String,
    ssh: &'static str,
) -> Case {
    Case { name, shows, files: Content::User(content), options: &[], ssh, ours: OursWhere::Same }
}

/// A line for the server with this key.
fn line(stage: &Stage, key: &str) -> String {
    named(&stage.name(), stage, key)
}

fn named(names: &str, stage: &Stage, key: &str) -> String {
    format!("{names} {}\n", stage.key(key))
}

/// A line that trusts the certificate authority for the server.
fn authority(stage: &Stage) -> String {
    format!("@cert-authority {} {}\n", stage.name(), stage.key(CA))
}

/// A server with a valid certificate.
const GOOD: Shows = Shows::Certificate(&["-h", "-n", "localhost"]);
