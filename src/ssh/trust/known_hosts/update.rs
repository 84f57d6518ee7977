//! Follows the keys that a server announces (`ssh_config(5)`, `UpdateHostKeys`).
//!
//! A line is changed only if a program wrote it: if a person wrote patterns or a list of names, a marker, or
//! the same key under another name, the record is not changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;

use super::add::{ATTEMPTS, new_line};
use super::line::Line;
use super::locked::{LockedRecord, Missing, Written};
use super::{HostLabel, KnownHosts, KnownHostsError, Place, RecordedKey};
use crate::openssh::client_config::Switch;

#[cfg(test)]
mod tests;

/// The differences between the recorded and the announced keys of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Announced but not recorded for the host: to be added once the server has proved them.
    pub(crate) new: Vec<PublicKey>,
    /// Recorded for the host but not announced: to be removed.
    pub(crate) obsolete: Vec<RecordedKey>,
}

/// Why the record is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    /// A line for the host was written by a person.
    #[error("{0} has patterns or many names")]
    HandWritten(Place),
    /// A line for the host has `@cert-authority` or `@revoked`.
    #[error("{0} has a marker")]
    Marker(Place),
    /// One of the keys is also recorded for another host: a change would make the two disagree.
    #[error("{0} has one of the keys for another name")]
    OtherName(Place),
}

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

impl KnownHosts {
    /// The changes needed for the record to have exactly the `announced` keys for `host`.
    pub(crate) fn plan(&self, host: &HostLabel, announced: &[PublicKey]) -> Result<Plan, Obstacle> {
        let is_announced = |line: &Line| has(announced, line.key());
        let (ours, others): (Vec<_>, Vec<_>) =
            self.lines.iter().partition(|line| line.matches_name(host.as_str()));
        let new = announced.iter().filter(|key| {
            !ours.iter().any(|line| line.marker().is_none() && same(line.key(), key))
        });
        let (kept, obsolete): (Vec<&Line>, Vec<&Line>) =
            ours.iter().filter(|l| l.marker().is_none()).partition(|line| is_announced(line));
        let plan = Plan {
            new: new.cloned().collect(),
            obsolete: obsolete.iter().map(|line| line.recorded()).collect(),
        };
        if plan.new.is_empty() && plan.obsolete.is_empty() {
            return Ok(plan);
        }
        if let Some(line) = ours.iter().find(|line| line.marker().is_some()) {
            return Err(Obstacle::Marker(line.place()));
        }
        if let Some(line) = kept.iter().chain(&obsolete).find(|line| line.is_hand_written()) {
            return Err(Obstacle::HandWritten(line.place()));
        }
        let concerns = |line: &&&Line| {
            is_announced(line) || obsolete.iter().any(|old| same(old.key(), line.key()))
        };
        if let Some(line) = others.iter().find(concerns) {
            return Err(Obstacle::OtherName(line.place()));
        }
        Ok(plan)
    }
}

/// Makes `files` contain exactly `keys` for `host`: other lines for it are removed from all files, and missing keys
/// are added to the first file that exists. Files are not created. Lines with a marker and invalid lines are kept.
///
/// Blocking, like [`super::add()`].
pub(crate) fn update(
    files: &[PathBuf],
    host: &HostLabel,
    keys: &[PublicKey],
    hashing: Switch,
) -> Result<Changes, KnownHostsError> {
    let (mut changes, mut wanted) = (Changes::default(), keys);
    for file in files {
        let Some(of_file) = update_file(file, host, wanted, hashing)? else { continue };
        wanted = &[];
        changes.added += of_file.added;
        changes.removed += of_file.removed;
    }
    Ok(changes)
}

/// None if the file does not exist.
fn update_file(
    file: &Path,
    host: &HostLabel,
    keys: &[PublicKey],
    hashing: Switch,
) -> Result<Option<Changes>, KnownHostsError> {
    for _ in 0..ATTEMPTS {
        let Some(record) = LockedRecord::open(file, Missing::Leave)? else { return Ok(None) };
        let (mut content, mut changes, missing) = without_others(file, &record.content, host, keys);
        for key in missing {
            content.extend(new_line(host, key, hashing)?.bytes());
            changes.added += 1;
        }
        if changes == Changes::default() || record.replace(&content)? == Written::Done {
            return Ok(Some(changes));
        }
    }
    Err(KnownHostsError::Busy(file.to_owned()))
}

/// The lines of a file without those for `host` that have none of `keys`, and the keys that are missing.
fn without_others<'a>(
    file: &Path,
    content: &[u8],
    host: &HostLabel,
    keys: &'a [PublicKey],
) -> (Vec<u8>, Changes, Vec<&'a PublicKey>) {
    let file: Arc<Path> = file.into();
    let mut missing: Vec<&PublicKey> = keys.iter().collect();
    let (mut kept, mut changes) = (Vec::new(), Changes::default());
    for raw in content.split_inclusive(|b| *b == b'\n') {
        let bare = raw.strip_suffix(b"\n").unwrap_or(raw);
        if let Some(Ok(line)) = Line::read(Place { file: Arc::clone(&file), line: 0 }, bare)
            && line.marker().is_none()
            && line.matches_name(host.as_str())
        {
            if !has(keys, line.key()) {
                changes.removed += 1;
                continue;
            }
            missing.retain(|key| !same(key, line.key()));
        }
        kept.extend(bare);
        kept.push(b'\n');
    }
    (kept, changes, missing)
}

fn has(keys: &[PublicKey], key: &PublicKey) -> bool {
    keys.iter().any(|k| same(k, key))
}

/// Whether it is the same key, regardless of comments.
fn same(a: &PublicKey, b: &PublicKey) -> bool {
    a.key_data() == b.key_data()
}
