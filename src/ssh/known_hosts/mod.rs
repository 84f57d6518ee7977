//! The record of host keys: `known_hosts` files (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
//!
//! The lines are read by the `ssh-key` crate; what they say about a host is decided here, as
//! OpenSSH decides it. A host with a key on record has changed when it shows another one, of
//! whatever type; that is why the recorded types are asked for first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::known_hosts::{Entry, Marker};
use russh::keys::{Algorithm, HashAlg, PublicKey};

pub(super) use add::add;

mod add;
mod pattern;
#[cfg(test)]
mod tests;

/// The name that a host is on record under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostLabel {
    /// `host`, or `[host]:port` for another port than 22; in lower case.
    label: String,
    /// The host without its port: a key on record for it counts too, as with `ssh`.
    bare: Option<String>,
}

/// The lines of some files.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
    broken: Vec<BrokenLine>,
}

/// A line that could not be read. It does not count; the others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokenLine {
    /// Its file.
    pub(super) file: Arc<Path>,
    /// Its number, from 1.
    pub(super) line: usize,
}

/// What the record says about a key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key is on record for the host, in this line.
    Known {
        /// Its file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
    /// The host has no key on record.
    Unknown,
    /// The host has keys on record, and this is none of them.
    Changed {
        /// All of them, never empty.
        recorded: Vec<RecordedKey>,
    },
    /// The key is marked as revoked, in this line.
    Revoked {
        /// Its file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
}

/// A key on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedKey {
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it stands in, from 1.
    pub line: usize,
    /// Its type, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, as `SHA256:…`.
    pub fingerprint: String,
}

/// Why the record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// A file is there and cannot be read. That is not "no key on record".
    #[error("{} cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A new line cannot be written.
    #[error("{} cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program holds the lock on the file.
    #[error("{} is locked by another program", .0.display())]
    Locked(PathBuf),
    /// The name would mean something else in a line of the file.
    #[error("the host name cannot be written into known_hosts")]
    Unwritable,
    /// Meanwhile the file has another key for the host.
    #[error("{} has another key for this host by now", .0.display())]
    Conflict(PathBuf),
    /// The program is ending, and nothing is read any more.
    #[error("the program is ending")]
    ShuttingDown,
}

/// One line that could be read.
#[derive(Debug)]
struct Line {
    file: Arc<Path>,
    number: usize,
    entry: Entry,
}

impl HostLabel {
    /// For a host and the port of its SSH server.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == 22 {
            Self { label: host, bare: None }
        } else {
            Self { label: format!("[{host}]:{port}"), bare: Some(host) }
        }
    }

    /// For an alias (`HostKeyAlias`), which stands without a port.
    pub(super) fn of_alias(alias: &str) -> Self {
        Self { label: alias.to_lowercase(), bare: None }
    }

    /// The name as it stands in a file.
    pub(super) fn as_str(&self) -> &str {
        &self.label
    }
}

impl KnownHosts {
    /// Reads files in their order. One that does not exist has no lines.
    pub(super) fn read<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Self, KnownHostsError> {
        let mut out = Self::default();
        for file in files {
            match fs::read(file) {
                Ok(content) => out.push(file, &content),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(KnownHostsError::Read { file: file.clone(), source });
                }
            }
        }
        Ok(out)
    }

    /// The lines that could not be read.
    pub(super) fn broken(&self) -> &[BrokenLine] {
        &self.broken
    }

    /// What is on record about `key` of `host`.
    pub(super) fn verdict(&self, host: &HostLabel, key: &PublicKey) -> Verdict {
        match (self.verdict_by_name(&host.label, key), &host.bare) {
            (Verdict::Unknown, Some(bare)) => match self.verdict_by_name(bare, key) {
                // Another server on the same machine may well have another key.
                Verdict::Changed { .. } => Verdict::Unknown,
                other => other,
            },
            (verdict, _) => verdict,
        }
    }

    /// The types of the keys on record for `host`, in the order of the lines.
    pub(super) fn recorded_algorithms(&self, host: &HostLabel) -> Vec<Algorithm> {
        let of = |name: &str| -> Vec<Algorithm> {
            self.keys_of(name, None).map(|line| line.entry.public_key().algorithm()).collect()
        };
        match (of(&host.label), &host.bare) {
            (none, Some(bare)) if none.is_empty() => of(bare),
            (found, _) => found,
        }
    }

    fn verdict_by_name(&self, name: &str, key: &PublicKey) -> Verdict {
        let same = |line: &&Line| line.entry.public_key().key_data() == key.key_data();
        let place = |line: &Line| (line.file.to_path_buf(), line.number);
        if let Some(line) = self.keys_of(name, Some(Marker::Revoked)).find(same) {
            let (file, line) = place(line);
            return Verdict::Revoked { file, line };
        }
        if let Some(line) = self.keys_of(name, None).find(same) {
            let (file, line) = place(line);
            return Verdict::Known { file, line };
        }
        let recorded: Vec<_> = self.keys_of(name, None).map(Line::recorded).collect();
        if recorded.is_empty() { Verdict::Unknown } else { Verdict::Changed { recorded } }
    }

    /// The lines with this marker that speak of this name. A `@cert-authority` line says nothing
    /// about a plain key.
    fn keys_of(&self, name: &str, marker: Option<Marker>) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(move |line| line.entry.marker() == marker.as_ref())
            .filter(move |line| pattern::matches(line.entry.host_patterns(), name))
    }

    /// Reads a file's lines. One that is not UTF-8 does not spoil the others.
    fn push(&mut self, file: &Path, content: &[u8]) {
        let file: Arc<Path> = file.into();
        for (i, bytes) in content.split(|b| *b == b'\n').enumerate() {
            let (file, line) = (Arc::clone(&file), i + 1);
            match parse_line(&String::from_utf8_lossy(bytes)) {
                Some(Ok(entry)) => self.lines.push(Line { file, number: line, entry }),
                Some(Err(_)) => self.broken.push(BrokenLine { file, line }),
                None => {}
            }
        }
    }
}

impl Line {
    fn recorded(&self) -> RecordedKey {
        let key = self.entry.public_key();
        RecordedKey {
            file: self.file.to_path_buf(),
            line: self.number,
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

/// Reads a line; `None` for an empty one and for a comment.
///
/// OpenSSH separates fields by any run of spaces and tabs, the crate by one space.
fn parse_line(line: &str) -> Option<Result<Entry, russh::keys::ssh_key::Error>> {
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // Behind the key there is only a comment.
    let fields = if line.starts_with('@') { 4 } else { 3 };
    let words: Vec<_> = line.split([' ', '\t']).filter(|w| !w.is_empty()).take(fields).collect();
    Some(words.join(" ").parse())
}
