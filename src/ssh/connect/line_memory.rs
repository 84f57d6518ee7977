//! What was learnt of the lines to servers, from one run to the next: `sockeye/lines.json` in the
//! directory for state (the XDG base directory specification).

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

/// Where it is kept; nowhere by default. Without it, or where it cannot be read or written, every run
/// begins anew.
#[derive(Clone, Debug, Default)]
pub struct LineMemory(Option<Arc<Path>>);

/// What is kept of one server.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    line: Line,
    /// In seconds since 1970.
    learnt: u64,
}

/// By server, as `host:port`.
type Entries = BTreeMap<String, Entry>;

impl LineMemory {
    /// In the directory for state of whoever runs this (`XDG_STATE_HOME`, or `~/.local/state`).
    pub fn of_user() -> Self {
        let state = file::xdg_directory("XDG_STATE_HOME", ".local/state");
        Self(state.map(|dir| dir.join("lines.json").into()))
    }

    pub(super) fn recall(&self, server: &str) -> Line {
        let entries = self.0.as_deref().map(read).unwrap_or_default();
        entries.get(server).map(|entry| entry.line).unwrap_or_default()
    }

    /// Keeps what was learnt. Whoever writes at the same time may be forgotten, which is no loss.
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
            debug!(%error, path = %path.display(), "what was learnt of the line is not kept");
        }
    }
}

/// What is not there, or not as we wrote it, is nothing.
fn read(path: &Path) -> Entries {
    let text = file::read(path, MOST_BYTES, Besides::Nothing).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// All or nothing, for nobody else's eyes.
fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut file, entries)?;
    file.write_all(b"\n")?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The servers that are kept; the others were learnt of longest ago.
const MOST_SERVERS: usize = 256;
/// More than these take. In bytes.
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
    fn what_one_run_has_learnt_the_next_one_knows() {
        let dir = tempfile::tempdir().expect("a directory");
        memory(&dir).remember("one:22", learnt());
        memory(&dir).remember("two:22", Line::default());
        assert_eq!(memory(&dir).recall("one:22"), learnt());
        assert_eq!(memory(&dir).recall("three:22"), Line::default());
    }

    #[test]
    fn a_file_that_is_not_ours_is_as_good_as_none() {
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
    fn the_server_that_was_learnt_of_longest_ago_is_forgotten() {
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
