//! Follows the keys that a server announces (`ssh_config(5)`, `UpdateHostKeys`).
//!
//! A line is touched only where a program wrote it: where a person gave patterns or a list of names,
//! a marker, or the same key under another name, the record stays as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

use super::add::{ATTEMPTS, new_line};
use super::line::Line;
use super::locked::{LockedRecord, Missing, Written};
use super::{HostLabel, KnownHosts, KnownHostsError, Place, RecordedKey};
use crate::openssh::client_config::Switch;

#[cfg(test)]
mod tests;

/// What the record lacks of a server's keys, and what it has beyond them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Announced, and not on record for the host: to be added once the server has proved them.
    pub(crate) new: Vec<PublicKey>,
    /// On record for the host, and not announced: to be taken out.
    pub(crate) obsolete: Vec<RecordedKey>,
}

/// Why the record is not touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    /// A line for the host that a person wrote.
    #[error("{0} has patterns or many names")]
    HandMade(Place),
    /// A line for the host with `@cert-authority` or `@revoked`.
    #[error("{0} has a marker")]
    Marker(Place),
    /// One of the keys is on record for another host, too: changing it here alone would make the
    /// two disagree.
    #[error("{0} has one of the keys for another name")]
    OtherName(Place),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

impl KnownHosts {
    /// What would have to change for the record to have exactly the `announced` keys of `host`.
    pub(crate) fn plan(&self, host: &HostLabel, announced: &[PublicKey]) -> Result<Plan, Obstacle> {
        let is_announced = |line: &Line| position(announced, line.key()).is_some();
        let (ours, others): (Vec<_>, Vec<_>) =
            self.lines.iter().partition(|line| line.speaks_of(host.as_str()));
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
        if let Some(line) = kept.iter().chain(&obsolete).find(|line| line.is_hand_made()) {
            return Err(Obstacle::HandMade(line.place()));
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

/// Makes `files` have exactly `keys` for `host`: other lines for it go, from all of them; what is
/// missing is added to the first that exists. Files that do not exist are not made. Lines with a marker, and
/// those that cannot be read, stay.
///
/// It blocks, as [`super::add()`] does.
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

/// None where the file does not exist.
fn update_file(
    file: &Path,
    host: &HostLabel,
    keys: &[PublicKey],
    hashing: Switch,
) -> Result<Option<Changes>, KnownHostsError> {
    for _ in 0..ATTEMPTS {
        let Some(record) = LockedRecord::open(file, Missing::Leave)? else { return Ok(None) };
        let (mut content, mut changes, missing) =
            without_others(file, record.content(), host, keys);
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

/// The lines of a file without those for `host` that have none of `keys`, and the keys that none of
/// them has.
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
            && line.speaks_of(host.as_str())
        {
            if position(keys, line.key()).is_none() {
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

fn position(keys: &[PublicKey], key: &PublicKey) -> Option<usize> {
    keys.iter().position(|k| same(k, key))
}

/// Whether it is the same key, whatever the comment.
fn same(a: &PublicKey, b: &PublicKey) -> bool {
    let data: (&KeyData, &KeyData) = (a.key_data(), b.key_data());
    data.0 == data.1
}
