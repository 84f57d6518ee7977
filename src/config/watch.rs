//! When the files of a configuration have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::files::Stamp;

/// Watches files by the directories that they, and the symbolic links on the way to them, lie in:
/// an editor puts a new file in the place of the old one, and a mounted configuration is a link to
/// a link that is replaced.
#[derive(Debug)]
pub struct Watch {
    /// None where the system cannot watch, which was told.
    watcher: Option<RecommendedWatcher>,
    stirred: Arc<Notify>,
    directories: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Watch {
    /// Watches these files, in the state that they have now. Where the system cannot, this is told
    /// once, and no change is ever seen.
    pub fn start(files: &BTreeSet<PathBuf>) -> Self {
        let stirred = Arc::new(Notify::new());
        let wake = Arc::clone(&stirred);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and our own would wake us for ever.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                wake.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| blind(&error)).ok();
        let mut watch =
            Self { watcher, stirred, directories: BTreeSet::new(), files: BTreeMap::new() };
        watch.follow(files);
        watch
    }

    /// Takes the files as they are now. To be called before they are read for another reason than
    /// [`Watch::changed`]: what changes later is a change.
    pub fn mark(&mut self) {
        self.is_stale();
    }

    /// Watches these files from now on: those that were watched before as they were then, the
    /// others as they are now.
    pub fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        let mut stamp = |file: &PathBuf| before.remove(file).unwrap_or_else(|| Stamp::of(file));
        self.files = files.iter().map(|file| (file.clone(), stamp(file))).collect();
        self.watch_directories();
    }

    /// Waits until a file has changed, and then until all has been quiet for a moment: an editor
    /// writes more than once.
    ///
    /// # Cancel safety
    ///
    /// No change is lost when this is dropped.
    pub async fn changed(&mut self) {
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
            // A link on the way may lead elsewhere now.
            self.watch_directories();
            if self.is_stale() {
                return;
            }
        }
    }

    /// Whether a file is not what it was. Afterwards it is what it is.
    fn is_stale(&mut self) -> bool {
        let mut stale = false;
        for (file, before) in &mut self.files {
            let now = Stamp::of(file);
            stale |= *before != now;
            *before = now;
        }
        stale
    }

    fn watch_directories(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<_> = self.files.keys().flat_map(|file| directories(file)).collect();
        for gone in self.directories.difference(&wanted) {
            // A directory that is not there any more is not watched any more.
            let _ = watcher.unwatch(gone);
        }
        let mut followed = BTreeSet::new();
        for directory in wanted {
            // Once more, even where it is watched: a new one may have taken its place.
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    followed.insert(directory);
                }
                Err(error) if directory.exists() => {
                    blind(&error);
                    self.watcher = None;
                    return;
                }
                Err(error) => debug!(%error, "a directory cannot be watched"),
            }
        }
        self.directories = followed;
    }
}

/// Says that changes are not seen.
fn blind(error: &notify::Error) {
    warn!("changes of the configuration are not seen by themselves ({error}); SIGHUP reloads it");
}

/// The directories in which something must change for a path to lead to another file: that of
/// each symbolic link on its way, and its last one. Each has one name: two of them would be one to
/// the system.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut add = |directory: &Path| {
        found.insert(directory.canonicalize().unwrap_or_else(|_| directory.to_owned()));
    };
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // As many links as the system follows.
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

/// The first symbolic link on the way of an absolute path, and what comes behind it.
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

/// How long it must be quiet before a change is taken for complete.
const QUIET: Duration = Duration::from_millis(300);
/// A change is taken up after this time, however much goes on in the directory.
const PATIENCE: Duration = Duration::from_secs(3);
/// As many symbolic links as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// `PATH_MAX`.
const MAX_PATH: usize = 4096;

#[cfg(test)]
mod tests;
