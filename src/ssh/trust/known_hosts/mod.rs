//! The record of host keys: `known_hosts` files (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
//!
//! The lines are parsed by the `ssh-key` crate; what they mean for a host is decided here, as in OpenSSH. A
//! host with a recorded key has changed if it presents another one of any type; that is why the recorded types
//! are requested first.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PublicKey};

use super::MAX_FILE;
use crate::file::{self, Besides};
use crate::printable;

use line::Line;

pub(crate) use add::add;
pub(crate) use update::{Changes, Obstacle, Plan, update};

mod add;
mod line;
mod locked;
mod pattern;

#[cfg(test)]
mod tests;
mod update;

/// The name under which a host is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostLabel {
    /// `host`, or `[host]:port` for a port other than 22; in lower case.
    label: String,
    /// The host without its port: a key recorded for it counts as well, as in `ssh`.
    bare: Option<String>,
}

/// The lines of several files.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    lines: Vec<Line>,
    /// The invalid lines.
    pub(crate) broken: Vec<Place>,
}

/// The position of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as configured.
    pub file: Arc<Path>,
    /// The number of the line, from 1.
    pub line: usize,
}

/// What the record says about a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key is recorded for the host, in this line.
    Known(Place),
    Unknown,
    /// The host has these keys on record, at least one, and the key is none of them.
    Changed(Vec<RecordedKey>),
    /// The key is marked as revoked, in this line.
    Revoked(Place),
}

/// A key on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedKey {
    /// Its position.
    pub place: Place,
    /// Its type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, such as `SHA256:…`.
    pub fingerprint: String,
}

/// Why the record cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KnownHostsError {
    /// A file exists but cannot be read, which is not the same as having no keys.
    #[error("{} cannot be read: {cause}", file.display())]
    Read { file: PathBuf, cause: io::Error },
    #[error("{} cannot be written: {cause}", file.display())]
    Write { file: PathBuf, cause: io::Error },
    #[error("{} is locked by another program", .0.display())]
    Locked(PathBuf),
    #[error("{} is changed by another program again and again", .0.display())]
    Busy(PathBuf),
    /// The name would have another meaning in the file.
    #[error("the host name cannot be written into known_hosts")]
    Unwritable,
    #[error("{} has another key for this host by now", .0.display())]
    Conflict(PathBuf),
}

impl HostLabel {
    /// The label of a host and its SSH port.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == 22 {
            Self { label: host, bare: None }
        } else {
            Self { label: format!("[{host}]:{port}"), bare: Some(host) }
        }
    }

    /// The label of an alias (`HostKeyAlias`), which has no port.
    pub(crate) fn of_alias(alias: &str) -> Self {
        Self { label: alias.to_lowercase(), bare: None }
    }

    /// The label, followed by the bare name, which counts if the label is not recorded.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.label.as_str()).chain(self.bare.as_deref())
    }

    /// The label as written in a file.
    pub(crate) fn as_str(&self) -> &str {
        &self.label
    }
}

impl KnownHosts {
    /// Reads files in order. A missing file has no lines.
    pub(crate) fn read<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Self, KnownHostsError> {
        let mut out = Self::default();
        for file in files {
            match file::read(file, MAX_FILE, Besides::Devices) {
                Ok(content) => out.push(file, &content),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => {
                    return Err(KnownHostsError::Read { file: file.clone(), cause });
                }
            }
        }
        Ok(out)
    }

    /// What the record says about `key` of `host`.
    pub(crate) fn verdict(&self, host: &HostLabel, key: &PublicKey) -> Verdict {
        match (self.verdict_by_name(&host.label, key), &host.bare) {
            (Verdict::Unknown, Some(bare)) => match self.verdict_by_name(bare, key) {
                // Another server on the same machine may well have another key.
                Verdict::Changed(_) => Verdict::Unknown,
                other => other,
            },
            (verdict, _) => verdict,
        }
    }

    /// Whether `key` is recorded for `host` including its port, if it has one.
    pub(crate) fn is_under_own_name(&self, host: &HostLabel, key: &PublicKey) -> bool {
        self.find(&host.label, None, &[key.key_data()]).is_some()
    }

    /// The types of the keys recorded for `host`, in the order of the lines.
    pub(crate) fn recorded_algorithms(&self, host: &HostLabel) -> Vec<Algorithm> {
        let of = |name: &str| -> Vec<Algorithm> {
            self.lines_of(name, None).map(|line| line.key().algorithm()).collect()
        };
        match (of(&host.label), &host.bare) {
            (none, Some(bare)) if none.is_empty() => of(bare),
            (found, _) => found,
        }
    }

    /// The position of the authority of `certificate`, if it is recorded for `host`. An authority of the bare
    /// name also counts on another port. The certificate itself must be checked separately.
    ///
    /// # Errors
    ///
    /// The position of the line that revokes the authority, or the key in the certificate.
    pub(crate) fn certificate_verdict(
        &self,
        host: &HostLabel,
        certificate: &Certificate,
    ) -> Result<Option<Place>, Place> {
        let keys = [certificate.public_key(), certificate.signature_key()];
        let revoked = host.names().find_map(|name| self.find(name, Some(Marker::Revoked), &keys));
        if let Some(line) = revoked {
            return Err(line.place());
        }
        let authority =
            host.names().find_map(|name| self.find(name, Some(Marker::CertAuthority), &keys[1..]));
        Ok(authority.map(Line::place))
    }

    /// Whether an authority is recorded for `host`, or a key revoked, which may be that of an authority.
    pub(crate) fn has_marked(&self, host: &HostLabel) -> bool {
        let mut marked = self.lines.iter().filter(|line| line.marker().is_some());
        marked.any(|line| host.names().any(|name| line.matches_name(name)))
    }

    fn verdict_by_name(&self, name: &str, key: &PublicKey) -> Verdict {
        let key = [key.key_data()];
        if let Some(line) = self.find(name, Some(Marker::Revoked), &key) {
            return Verdict::Revoked(line.place());
        }
        if let Some(line) = self.find(name, None, &key) {
            return Verdict::Known(line.place());
        }
        let recorded: Vec<_> = self.lines_of(name, None).map(Line::recorded).collect();
        if recorded.is_empty() { Verdict::Unknown } else { Verdict::Changed(recorded) }
    }

    /// The first line with this marker that has one of these keys for this name.
    fn find(&self, name: &str, marker: Option<Marker>, keys: &[&KeyData]) -> Option<&Line> {
        self.lines_of(name, marker).find(|line| keys.contains(&line.key().key_data()))
    }

    /// The lines with this marker that match this name. A `@cert-authority` line says nothing about a plain key.
    fn lines_of(&self, name: &str, marker: Option<Marker>) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |line| line.marker() == marker)
            .filter(move |line| line.matches_name(name))
    }

    /// Adds a file's lines. A line that is not UTF-8 does not affect the others.
    pub(crate) fn push(&mut self, file: &Path, content: &[u8]) {
        let file: Arc<Path> = file.into();
        for (i, bytes) in content.split(|b| *b == b'\n').enumerate() {
            match Line::read(Place { file: Arc::clone(&file), line: i + 1 }, bytes) {
                Some(Ok(line)) => self.lines.push(line),
                Some(Err(broken)) => self.broken.push(broken),
                None => {}
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", printable::path(&self.file), self.line)
    }
}
