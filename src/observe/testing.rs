//! A log for tests to read.

use std::fs;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tracing::dispatcher::{DefaultGuard, set_default};

use super::logs::{LogOptions, Look, subscriber};

/// Captures what this thread logs at the normal level, until it is dropped.
pub(crate) struct TestLog {
    file: NamedTempFile,
    _default: DefaultGuard,
}

impl TestLog {
    pub(crate) fn start() -> Self {
        let file = NamedTempFile::new().expect("a file");
        let writer = Arc::new(file.reopen().expect("it is there"));
        let (dispatch, _) = subscriber(LogOptions::default(), Look::Plain, writer);
        Self { file, _default: set_default(&dispatch) }
    }

    /// Everything logged so far.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file.path()).expect("text")
    }
}
