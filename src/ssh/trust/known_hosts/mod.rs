//! The record of host keys: `known_hosts` files (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
//!
//! The lines are read by the `ssh-key` crate; what they say about a host is decided here, as
//! OpenSSH decides it. A host with a key on record has changed when it shows another one, of
//! whatever type; that is why the recorded types are asked for first.

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

/// The name that a host is on record under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostLabel {
    /// `host`, or `[host]:port` for another port than 22; in lower case.
    label: String,
    /// The host without its port: a key on record for it counts too, as with `ssh`.
    bare: Option<String>,
}

/// The lines of some files.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    lines: Vec<Line>,
    broken: Vec<Place>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// The number of the line, from 1.
    pub line: usize,
}

/// What the record says about a key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key is on record for the host, in this line.
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
    /// Where it stands.
    pub place: Place,
    /// Its type, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, as `SHA256:…`.
    pub fingerprint: String,
}

/// Why the record cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KnownHostsError {
    /// A file is there and cannot be read. That is not "no key on record".
    #[error("{} cannot be read: {cause}", file.display())]
    Read { file: PathBuf, cause: io::Error },
    #[error("{} cannot be written: {cause}", file.display())]
    Write { file: PathBuf, cause: io::Error },
    #[error("{} is locked by another program", .0.display())]
    Locked(PathBuf),
    #[error("{} is changed by another program again and again", .0.display())]
    Busy(PathBuf),
    /// The name would mean something else in a line of the file.
    #[error("the host name cannot be written into known_hosts")]
    Unwritable,
    #[error("{} has another key for this host by now", .0.display())]
    Conflict(PathBuf),
}

impl HostLabel {
    /// For a host and the port of its SSH server.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == 22 {
            Self { label: host, bare: None }
        } else {
            Self { label: format!("[{host}]:{port}"), bare: Some(host) }
        }
    }

    /// For an alias (`HostKeyAlias`), which stands without a port.
    pub(crate) fn of_alias(alias: &str) -> Self {
        Self { label: alias.to_lowercase(), bare: None }
    }

    /// The name, and then the bare one, which counts where the name is not on record.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.label.as_str()).chain(self.bare.as_deref())
    }

    /// The name as it stands in a file.
    pub(crate) fn as_str(&self) -> &str {
        &self.label
    }
}

impl KnownHosts {
    /// Reads files in their order. One that does not exist has no lines.
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

    /// The lines that could not be read.
    pub(crate) fn broken(&self) -> &[Place] {
        &self.broken
    }

    /// What is on record about `key` of `host`.
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

    /// Whether `key` is on record for `host` with its port, where it has one.
    pub(crate) fn is_under_own_name(&self, host: &HostLabel, key: &PublicKey) -> bool {
        self.find(&host.label, None, &[key.key_data()]).is_some()
    }

    /// The types of the keys on record for `host`, in the order of the lines.
    pub(crate) fn recorded_algorithms(&self, host: &HostLabel) -> Vec<Algorithm> {
        let of = |name: &str| -> Vec<Algorithm> {
            self.lines_of(name, None).map(|line| line.key().algorithm()).collect()
        };
        match (of(&host.label), &host.bare) {
            (none, Some(bare)) if none.is_empty() => of(bare),
            (found, _) => found,
        }
    }

    /// Where the authority of `certificate` is on record for `host`, if it is. An authority of the bare name
    /// counts on another port, too. The certificate itself is to be checked.
    ///
    /// # Errors
    ///
    /// The line that marks the authority, or the key in the certificate, as revoked.
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

    /// Whether an authority is on record for `host`.
    pub(crate) fn has_authority(&self, host: &HostLabel) -> bool {
        self.has(host, Marker::CertAuthority)
    }

    /// Whether a key is marked as revoked for `host`: it may be that of an authority.
    pub(crate) fn has_revoked(&self, host: &HostLabel) -> bool {
        self.has(host, Marker::Revoked)
    }

    fn has(&self, host: &HostLabel, marker: Marker) -> bool {
        host.names().any(|name| self.lines_of(name, Some(marker)).next().is_some())
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

    /// The first line with this marker that gives this name one of these keys.
    fn find(&self, name: &str, marker: Option<Marker>, keys: &[&KeyData]) -> Option<&Line> {
        self.lines_of(name, marker).find(|line| keys.contains(&line.key().key_data()))
    }

    /// The lines with this marker that speak of this name. A `@cert-authority` line says nothing
    /// about a plain key.
    fn lines_of(&self, name: &str, marker: Option<Marker>) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |line| line.marker() == marker)
            .filter(move |line| line.speaks_of(name))
    }

    /// Reads a file's lines. One that is not UTF-8 does not spoil the others.
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
