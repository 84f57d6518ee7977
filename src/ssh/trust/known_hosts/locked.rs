//! A locked record, written completely or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use super::{KnownHostsError, MAX_FILE};
use crate::file;

/// A `known_hosts` file, locked and read. The lock is released on drop.
#[derive(Debug)]
pub(super) struct LockedRecord {
    /// The configured path, for messages.
    name: PathBuf,
    /// The file itself, if the path is a symbolic link.
    target: PathBuf,
    file: File,
    found: Metadata,
    pub(super) content: Vec<u8>,
}

/// What to do if the file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Create it (0600, its directory 0700).
    Create,
    /// Do nothing.
    Leave,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// A program that ignores the lock has changed the file. Nothing was done.
    Stale,
}

impl LockedRecord {
    /// Waits up to 5 s for the lock, and reads the file. `None` if it is missing and not created.
    pub(super) fn open(path: &Path, missing: Missing) -> Result<Option<Self>, KnownHostsError> {
        let failed = |cause| KnownHostsError::Write { file: path.to_owned(), cause };
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        if let (Missing::Create, Some(folder)) = (missing, folder) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let Some(mut file) = lock(path, missing)? else { return Ok(None) };
        let found = file.metadata().map_err(failed)?;
        let target = fs::canonicalize(path).map_err(failed)?;
        let content = file::read_open(&mut file, MAX_FILE).map_err(failed)?;
        Ok(Some(Self { name: path.to_owned(), target, file, found, content }))
    }

    /// Adds complete lines at the end. If the file cannot be replaced (its directory is read-only, or it is a
    /// mount point or no regular file), they are appended in one write, as in `ssh`.
    pub(super) fn append(mut self, lines: &str) -> Result<Written, KnownHostsError> {
        let mut added = self.content.clone();
        if added.last().is_some_and(|b| *b != b'\n') {
            added.push(b'\n');
        }
        added.extend(lines.bytes());
        if self.found.is_file() {
            match self.try_replace(&added) {
                Ok(written) => return Ok(written),
                Err(error) => tracing::debug!(%error, "known_hosts is appended to in its place"),
            }
        }
        // A reader without the lock sees either all of the lines or none.
        let end = &added[self.content.len()..];
        match self.file.write_all(end) {
            Ok(()) => Ok(Written::Done),
            Err(cause) => Err(KnownHostsError::Write { file: self.name, cause }),
        }
    }

    /// Replaces the file with `content`, and keeps the old one as `.old`, as `ssh` does when it removes keys.
    pub(super) fn replace(self, content: &[u8]) -> Result<Written, KnownHostsError> {
        let replaced = self.keep_old().and_then(|()| self.try_replace(content));
        replaced.map_err(|cause| KnownHostsError::Write { file: self.name, cause })
    }

    fn keep_old(&self) -> io::Result<()> {
        let mut old = OsString::from(&self.target);
        old.push(".old");
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::hard_link(&self.target, &old)
    }

    /// Renames a new file, with the mode and owner of the old one, over it.
    fn try_replace(&self, content: &[u8]) -> io::Result<Written> {
        let folder = self.target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut new = NamedTempFile::with_prefix_in(".known_hosts-", folder)?;
        new.write_all(content)?;
        let made = new.as_file().metadata()?;
        if (made.uid(), made.gid()) != (self.found.uid(), self.found.gid()) {
            std::os::unix::fs::fchown(&new, Some(self.found.uid()), Some(self.found.gid()))?;
        }
        new.as_file().set_permissions(self.found.permissions())?;
        new.as_file().sync_all()?;
        let now = self.file.metadata()?;
        let same = (now.len(), now.modified()?) == (self.found.len(), self.found.modified()?);
        if !same || !is_at(&self.target, &now)? {
            return Ok(Written::Stale);
        }
        new.persist(&self.target)?;
        Ok(Written::Done)
    }
}

/// Opens and locks the file that is at `path` once the lock is held: the previous holder may have replaced the
/// file, as `ssh-keygen -R` does.
fn lock(path: &Path, missing: Missing) -> Result<Option<File>, KnownHostsError> {
    let failed = |cause| KnownHostsError::Write { file: path.to_owned(), cause };
    let give_up = Instant::now() + LOCK_LIMIT;
    loop {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(missing == Missing::Create).mode(0o600);
        let file = match options.open(path) {
            Err(e) if missing == Missing::Leave && e.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            opened => opened.map_err(failed)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(path, &file.metadata().map_err(failed)?).map_err(failed)? => {
                return Ok(Some(file));
            }
            Ok(()) | Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
        if Instant::now() >= give_up {
            return Err(KnownHostsError::Locked(path.to_owned()));
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// Whether the file with this metadata is at `path`.
fn is_at(path: &Path, file: &Metadata) -> io::Result<bool> {
    match path.metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (file.dev(), file.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// How long to wait for the lock, whose holder only writes a file.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// The interval of attempts to get the lock.
const LOCK_POLL: Duration = Duration::from_millis(10);
