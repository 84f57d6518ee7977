//! The table: what a server shows, what the files say, and what OpenSSH 9.2 makes of it.

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
    /// Further lines of `ssh_config`; `DIR` is where the files are.
    pub(super) options: &'static [&'static str],
    /// What `ssh` does with `StrictHostKeyChecking` yes, ask, accept-new and no: Accepts, Refuses or
    /// asks (Q).
    pub(super) ssh: &'static str,
    pub(super) ours: OursWhere,
}

/// The name of a file, and its content or a directory in its place.
pub(super) type NamedFile = (&'static str, Option<String>);

/// The files that speak of the server.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The user's first.
    User(fn(&Stage) -> String),
    /// Several, by their names; one without a content is a directory.
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

/// What is ours to do.
pub(super) enum OursWhere {
    /// The same.
    Same,
    /// Refuse, for this reason, where `ssh` may be softer.
    Refused(#[expect(dead_code, reason = "for who reads the table")] &'static str),
}

pub(super) fn all() -> Vec<Case> {
    [lines::all(), files::all(), algorithms::all(), certificates::all()]
        .into_iter()
        .flatten()
        .collect()
}

/// A case with a user's file alone.
fn user(
    name: &'static str,
    shows: Shows,
    content: fn(&Stage) -> String,
    ssh: &'static str,
) -> Case {
    Case { name, shows, files: Content::User(content), options: &[], ssh, ours: OursWhere::Same }
}

/// A line for the server with one of the keys.
fn line(stage: &Stage, key: &str) -> String {
    named(&stage.name(), stage, key)
}

fn named(names: &str, stage: &Stage, key: &str) -> String {
    format!("{names} {}\n", stage.key(key))
}

/// A line that trusts the authority for the server.
fn authority(stage: &Stage) -> String {
    format!("@cert-authority {} {}\n", stage.name(), stage.key(CA))
}

/// A server with a certificate that is in order.
const GOOD: Shows = Shows::Certificate(&["-h", "-n", "localhost"]);
