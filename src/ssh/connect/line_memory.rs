//! What was learnt about the paths to servers, kept from one run to the next: `sockeye/lines.json` in the state
//! directory (XDG Base Directory Specification).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::debug;

use super::line::Line;
use crate::file::{self, Besides};

/// The file with what was learnt; none by default. Without a usable file, every run starts anew.
#[derive(Clone, Debug, Default)]
pub struct LineMemory(Option<Arc<Path>>);

/// The record of one server.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    line: Line,
    /// In seconds since the epoch.
    learnt: u64,
}

/// The records by server, as `host:port`.
type Entries = BTreeMap<String, Entry>;

impl LineMemory {
    /// The file in the user's state directory (`XDG_STATE_HOME`, or `~/.local/state`).
    pub fn of_user() -> Self {
        let state = file::xdg_directory("XDG_STATE_HOME", ".local/state");
        Self(state.map(|dir| dir.join("lines.json").into()))
    }

    pub(super) fn recall(&self, server: &str) -> Line {
        let entries = self.0.as_deref().map(read).unwrap_or_default();
        entries.get(server).map(|entry| entry.line).unwrap_or_default()
    }

    /// Saves what was learnt. Concurrent changes by another process may be lost, which does no harm.
    pub(super) fn remember(&self, server: &str, line: Line) {
        let Some(path) = self.0.as_deref() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut entries = read(path);
        entries.insert(server.to_owned(), Entry { line, learnt: now });
        while entries.len() > MOST_SERVERS {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.learnt);
            let Some(oldest) = oldest.map(|(server, _)| server.clone()) else { break };
            entries.remove(&oldest);
        }
        if let Err(error) = write(path, &entries) {
            debug!(%error, path = %path.display(), "cannot save what was learnt about the line");
        }
    }
}

/// The records; empty if the file is missing or invalid.
fn read(path: &Path) -> Entries {
    let text = file::read(path, MOST_BYTES, Besides::Nothing).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Replaces the file atomically, readable only by its owner.
fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut file, entries)?;
    file.write_all(b"\n")?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The maximum number of servers; the oldest record is dropped.
const MOST_SERVERS: usize = 256;
/// The maximum size of the file in bytes, more than the records need.
const MOST_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::line::{Learner, Sample, Upload};
    use super::*;

    fn learnt() -> Line {
        let mut learner = Learner::default();
        let (best, round_trip) = (Duration::from_millis(50), Duration::from_millis(500));
        let (received, busiest) = (1_000_000, 1_000_000);
        let window = 2 << 20;
        let sample = Sample { received, busiest, round_trip, best, window, upload: Upload::None };
        learner.learn(sample);
        learner.learn(sample);
        learner.line()
    }

    fn memory(dir: &tempfile::TempDir) -> LineMemory {
        LineMemory(Some(dir.path().join("a/lines.json").into()))
    }

    #[test]
    fn records_persist_between_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        memory(&dir).remember("one:22", learnt());
        memory(&dir).remember("two:22", Line::default());
        assert_eq!(memory(&dir).recall("one:22"), learnt());
        assert_eq!(memory(&dir).recall("three:22"), Line::default());
    }

    #[test]
    fn an_invalid_file_is_ignored() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("a")).expect("a directory");
        for text in ["", "{", "[1]", "{\"one:22\": 7}"] {
            fs::write(dir.path().join("a/lines.json"), text).expect("a file");
            assert_eq!(memory(&dir).recall("one:22"), Line::default(), "{text}");
        }
        memory(&dir).remember("one:22", learnt());
        assert_eq!(memory(&dir).recall("one:22"), learnt());
        assert_eq!(LineMemory::default().recall("one:22"), Line::default());
    }

    #[test]
    fn the_servers_are_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        for server in 0..MOST_SERVERS + 3 {
            memory(&dir).remember(&format!("{server}:22"), learnt());
        }
        let path = dir.path().join("a/lines.json");
        assert_eq!(read(&path).len(), MOST_SERVERS);
        assert!(fs::metadata(path).expect("a file").len() < MOST_BYTES / 4);
    }

    #[test]
    fn the_oldest_record_is_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        memory(&dir).remember("one:22", learnt());
        let path = dir.path().join("a/lines.json");
        let at = |learnt| Entry { line: self::learnt(), learnt };
        let entries = (1..=MOST_SERVERS as u64).map(|time| (format!("{time}:22"), at(time)));
        write(&path, &entries.collect()).expect("a file");
        memory(&dir).remember("one:22", learnt());
        let kept = read(&path);
        assert!(kept.contains_key("one:22") && kept.contains_key("2:22"));
        assert!(!kept.contains_key("1:22"), "the oldest");
    }
}
