//! Tracks the files that are being written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};

use crate::lock::lock;

/// The files that have been written to and not yet closed by the writer. Always empty if the system does
/// not report that a file is closed.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<BTreeSet<PathBuf>>);

impl Writers {
    pub(super) fn note(&self, event: &Event) {
        let mut open = lock(&self.0);
        match event.kind {
            // The event queue has overflowed.
            _ if event.need_rescan() => open.clear(),
            EventKind::Modify(ModifyKind::Data(_)) if REPORTS_CLOSING => {
                open.extend(event.paths.iter().cloned());
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_)) => {
                for path in &event.paths {
                    open.remove(path);
                }
            }
            _ => {}
        }
    }

    /// Whether the file at this path is being written.
    pub(super) fn are_at(&self, path: &Path) -> bool {
        let open = lock(&self.0);
        !open.is_empty() && path.canonicalize().is_ok_and(|path| open.contains(&path))
    }
}

/// Whether an event is only a read, by this program or another. The close of a written file is not.
pub(super) fn is_reading(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

/// The systems that report it: `IN_CLOSE_WRITE` of inotify(7).
const REPORTS_CLOSING: bool = cfg!(target_os = "linux");
