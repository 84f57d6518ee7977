//! Puts a new host key on record.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;
use rustix::fs::{FlockOperation, flock};

use super::pattern::hash_name;
use super::{HostLabel, KnownHosts, KnownHostsError, Verdict};
use crate::ssh::client_config::Switch;

/// Whether a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ssh) enum Added {
    /// It was.
    Written,
    /// The key was there by then: another process was first.
    AlreadyThere,
}

/// Appends a line for `host` and `key` to `file`, which is made (0600, its folder 0700) if need be.
///
/// The file is locked meanwhile and read again under the lock, so that of many processes one
/// writes. It blocks: for the file system, and up to 5 s for the lock.
///
/// # Errors
///
/// [`KnownHostsError::Conflict`] when the file has another key for the host by now, or has this
/// one revoked.
pub(in crate::ssh) fn add(
    file: &Path,
    host: &HostLabel,
    key: &PublicKey,
    hashing: Switch,
) -> Result<Added, KnownHostsError> {
    let failed = |source| KnownHostsError::Write { file: file.to_owned(), source };
    let line = line(host, key, hashing)?;
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut opened = open_locked(file)?;
    let mut content = Vec::new();
    opened.read_to_end(&mut content).map_err(failed)?;
    let mut known = KnownHosts::default();
    known.push(file, &content);
    match known.verdict(host, key) {
        Verdict::Known { .. } => return Ok(Added::AlreadyThere),
        Verdict::Unknown => {}
        Verdict::Changed { .. } | Verdict::Revoked { .. } => {
            return Err(KnownHostsError::Conflict(file.to_owned()));
        }
    }
    // One write: a reader without the lock sees the line as a whole or not at all.
    let unfinished = content.last().is_some_and(|b| *b != b'\n');
    let text = if unfinished { format!("\n{line}\n") } else { format!("{line}\n") };
    opened.write_all(text.as_bytes()).map_err(failed)?;
    Ok(Added::Written)
}

fn line(host: &HostLabel, key: &PublicKey, hashing: Switch) -> Result<String, KnownHostsError> {
    let name = host.as_str();
    // These would make a pattern, a list or a comment of it.
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
    Ok(format!("{names} {}", key.trim_end()))
}

/// Opens and locks the file that is at `path` once the lock is held: `ssh-keygen -R` puts a new
/// file in the place of the old one.
fn open_locked(path: &Path) -> Result<File, KnownHostsError> {
    let failed = |source| KnownHostsError::Write { file: path.to_owned(), source };
    let give_up = Instant::now() + LOCK_LIMIT;
    loop {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let locked = file.metadata().map_err(failed)?;
                match path.metadata() {
                    Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => {
                        return Ok(file);
                    }
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(failed(e)),
                }
            }
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
        if Instant::now() >= give_up {
            return Err(KnownHostsError::Locked(path.to_owned()));
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// How long the lock is waited for. Whoever holds it writes one line.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(10);
