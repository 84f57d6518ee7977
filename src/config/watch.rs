//! Watches the files of a configuration for changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::files::Stamp;

mod writers;

use writers::{Writers, is_reading};

/// Watches files, and the directories of the files and of the symbolic links on their paths: an editor
/// replaces the old file with a new one, and a mounted configuration is a link to a link that is replaced.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` if the system cannot watch, which is logged.
    watcher: Option<RecommendedWatcher>,
    stirred: Arc<Notify>,
    writers: Arc<Writers>,
    /// The watched directories and files.
    watched: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Watch {
    /// Watches these files, starting from their current state. If the system cannot watch, this is
    /// logged once, and no change is seen.
    pub(super) fn start(files: &BTreeSet<PathBuf>) -> Self {
        let stirred = Arc::new(Notify::new());
        let writers = Arc::<Writers>::default();
        let (wake, noted) = (Arc::clone(&stirred), Arc::clone(&writers));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = &event {
                noted.note(event);
            }
            // Reading is not a change, and this program's own reads would cause events for ever.
            if !event.is_ok_and(|event| is_reading(&event)) {
                wake.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| blind(&error)).ok();
        let mut watch =
            Self { watcher, stirred, writers, watched: BTreeSet::new(), files: BTreeMap::new() };
        watch.follow(files);
        watch
    }

    /// Records the current state of the files. It is called before they are read for a reason other
    /// than [`Watch::changed`], so that only later changes count.
    pub(super) fn mark(&mut self) {
        self.is_stale();
    }

    /// Watches these files from now on: those already watched from their recorded state, the others from
    /// their current one.
    pub(super) fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        let mut stamp = |file: &PathBuf| before.remove(file).unwrap_or_else(|| Stamp::of(file));
        self.files = files.iter().map(|file| (file.clone(), stamp(file))).collect();
        self.watch_all();
    }

    /// Waits until a file has changed; then until nothing has changed for a moment, since an editor writes
    /// more than once; and until every writer has closed its file, since half a list or half a configuration
    /// may be valid.
    ///
    /// # Cancel safety
    ///
    /// No change is lost when the future is dropped.
    pub(super) async fn changed(&mut self) {
        loop {
            self.stirred.notified().await;
            let latest = Instant::now() + PATIENCE;
            while let Ok(()) =
                timeout_at(latest.min(Instant::now() + QUIET), self.stirred.notified()).await
            {
                if Instant::now() >= latest {
                    break;
                }
            }
            self.written().await;
            // A link on the path may by now lead elsewhere.
            self.watch_all();
            if self.is_stale() {
                return;
            }
        }
    }

    /// Waits until no file is open for writing, but with a time limit, since a program may keep one open.
    async fn written(&self) {
        let latest = Instant::now() + WRITING;
        while self.files.keys().any(|file| self.writers.are_at(file)) {
            if timeout_at(latest, self.stirred.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Whether a file differs from its recorded state, which is then updated.
    fn is_stale(&mut self) -> bool {
        let mut stale = false;
        for (file, before) in &mut self.files {
            let now = Stamp::of(file);
            stale |= *before != now;
            *before = now;
        }
        stale
    }

    fn watch_all(&mut self) {
        let mut wanted = wanted(&self.files);
        // Repeated, because a directory may appear before its parent is watched.
        for _ in 0..MAX_LINKS {
            let before = wanted;
            self.watch(&before);
            wanted = self::wanted(&self.files);
            if wanted == before {
                break;
            }
        }
    }

    fn watch(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(wanted) {
            // An error is ignored: what no longer exists is no longer watched.
            let _ = watcher.unwatch(gone);
        }
        let mut followed = BTreeSet::new();
        for path in wanted {
            // Renewed even if it exists, since the path may name another inode now.
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    followed.insert(path.clone());
                }
                Err(error) if path.is_dir() => {
                    blind(&error);
                    self.watcher = None;
                    return;
                }
                Err(error) => debug!(%error, "this cannot be watched"),
            }
        }
        self.watched = followed;
    }
}

/// Logs that changes are not noticed.
fn blind(error: &notify::Error) {
    warn!("cannot watch the configuration for changes ({error}); send SIGHUP to reload it");
}

/// The directories in which a change can make a path lead to another file: that of each symbolic link on the path, and
/// the last one. Each has one canonical name, since the system treats two names as one directory.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut add = |directory: &Path| {
        found.insert(directory.canonicalize().unwrap_or_else(|_| directory.to_owned()));
    };
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // The loop ends at the number of links that the system follows.
    for _ in 0..MAX_LINKS {
        path.parent().into_iter().for_each(&mut add);
        let Some((link, rest)) = first_link(&path) else { break };
        let (Some(parent), Ok(target)) = (link.parent(), fs::read_link(&link)) else { break };
        add(parent);
        path = parent.join(target).join(rest);
        if path.as_os_str().len() > MAX_PATH {
            break;
        }
    }
    found
}

/// What to watch for these files: their directories, or the nearest existing parent of one that does not exist,
/// where it will appear; and the files themselves, since a file may be written under another name in another
/// directory, as with one that is mounted into a container.
fn wanted(files: &BTreeMap<PathBuf, Option<Stamp>>) -> BTreeSet<PathBuf> {
    let existing = |directory: PathBuf| {
        let above = directory.ancestors().find(|above| above.is_dir())?;
        Some(above.canonicalize().unwrap_or_else(|_| above.to_owned()))
    };
    let directories = files.keys().flat_map(|file| directories(file)).filter_map(existing);
    let real =
        files.keys().filter_map(|file| file.canonicalize().ok().filter(|file| file.is_file()));
    directories.chain(real).collect()
}

/// The first symbolic link in an absolute path, and the rest of the path after it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut before = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        match component {
            Component::ParentDir => {
                before.pop();
            }
            other => before.push(other),
        }
        if before.is_symlink() {
            return Some((before, components.as_path().to_owned()));
        }
    }
    None
}

/// The quiet time after which a change counts as complete.
const QUIET: Duration = Duration::from_millis(300);
/// The time after which a change counts, whatever else happens in the directory.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time after which a change counts even if the file is still open.
const WRITING: Duration = Duration::from_secs(60);
/// The number of symbolic links that Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// `PATH_MAX`.
const MAX_PATH: usize = 4096;

#[cfg(test)]
mod tests;
