//! Records a new host key.

use std::path::Path;

use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;

use super::locked::{LockedRecord, Missing, Written};
use super::pattern::hash_name;
use super::{HostLabel, KnownHosts, KnownHostsError, Verdict};
use crate::openssh::client_config::Switch;

/// Appends a line for `host` and `key` to `file`, which is created (0600, its directory 0700) if needed. Does
/// nothing if another process has added the key.
///
/// The file is locked and read again under the lock, so that only one of many processes writes. Blocking: on
/// the file system, and up to 5 s for the lock.
///
/// # Errors
///
/// [`KnownHostsError::Conflict`] if the file now has another key for the host, or has this one revoked.
pub(crate) fn add(
    file: &Path,
    host: &HostLabel,
    key: &PublicKey,
    hashing: Switch,
) -> Result<(), KnownHostsError> {
    let line = new_line(host, key, hashing)?;
    for _ in 0..ATTEMPTS {
        let Some(record) = LockedRecord::open(file, Missing::Create)? else { continue };
        let mut known = KnownHosts::default();
        known.push(file, &record.content);
        match known.verdict(host, key) {
            Verdict::Known(_) => return Ok(()),
            Verdict::Unknown => {}
            Verdict::Changed(_) | Verdict::Revoked(_) => {
                return Err(KnownHostsError::Conflict(file.to_owned()));
            }
        }
        if record.append(&line)? == Written::Done {
            return Ok(());
        }
    }
    Err(KnownHostsError::Busy(file.to_owned()))
}

/// A line for a key, including the line feed.
pub(super) fn new_line(
    host: &HostLabel,
    key: &PublicKey,
    hashing: Switch,
) -> Result<String, KnownHostsError> {
    let name = host.as_str();
    // These would turn the name into a pattern, a list or a comment.
    let meaning = |c: char| c.is_control() || c.is_whitespace() || "*?!,|#@".contains(c);
    if name.is_empty() || name.contains(meaning) {
        return Err(KnownHostsError::Unwritable);
    }
    let names = match hashing {
        Switch::Off => name.to_owned(),
        Switch::On => {
            let mut salt = vec![0; 20];
            getrandom::fill(&mut salt).map_err(|_| KnownHostsError::Unwritable)?;
            let hash = hash_name(&salt, name);
            HostPatterns::HashedName { salt, hash }.to_string()
        }
    };
    let bare = PublicKey::from(key.key_data().clone());
    let key = bare.to_openssh().map_err(|_| KnownHostsError::Unwritable)?;
    Ok(format!("{names} {}\n", key.trim_end()))
}

/// How often a file is reread if others change it meanwhile.
pub(super) const ATTEMPTS: usize = 10;
