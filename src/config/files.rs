//! The files of a configuration: its own file, and those that it names.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::file::{self, Besides};
use crate::listen::ProxyCredentials;

use super::fields::Text;
use super::mistake::{Mistake, Report, Severity};
use super::source::Source;

/// The facts that change when a file is written or replaced: device, inode, length, mtime and ctime.
/// Symbolic links are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp([i128; 5]);

impl Stamp {
    /// The stamp of a file; `None` if there is no file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let time =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some(Self([
            file.dev().into(),
            file.ino().into(),
            file.len().into(),
            time(file.mtime(), file.mtime_nsec()),
            time(file.ctime(), file.ctime_nsec()),
        ]))
    }
}

/// Reads the text of a configuration file; `None` after reporting why it cannot be read.
pub(super) fn text(path: &Path, report: &Report) -> Option<String> {
    report.note_file(path);
    let of_file = |severity, what: String| Mistake::of_file(path.to_owned(), severity, what);
    let fail = |what: String| {
        report.add(of_file(Severity::Error, what));
        None
    };
    let (bytes, others) = match read(path) {
        Ok(read) => read,
        Err(error) => return fail(format!("cannot be read: {error}")),
    };
    if bytes.len() > MAX_FILE {
        return fail(format!("is longer than {} MiB", MAX_FILE >> 20));
    }
    if let Some(who) = others {
        let hint = "whoever can write it controls your connections; own it, with mode 0600";
        report.add(of_file(Severity::Warning, who).hint(hint));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.split(|byte| *byte == b'\n').count();
            report.add(of_file(Severity::Error, "is not UTF-8".into()).at_line(line));
            None
        }
    }
}

/// Reads a file, up to one byte more than [`MAX_FILE`], with a warning if others may write it.
fn read(path: &Path) -> io::Result<(Vec<u8>, Option<String>)> {
    let file = file::open(path, Besides::Pipes)?;
    let metadata = file.metadata()?;
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let others = if mode & 0o022 != 0 {
        Some(format!("may be written by others (mode {mode:04o})"))
    } else if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        Some(format!("belongs to user id {owner}, neither you nor root"))
    } else {
        None
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes, others))
}

/// Reads the file of `auth`; `None` after reporting why it cannot be used.
pub(super) fn auth(source: &Source<'_>, file: &Text<'_>) -> Option<Arc<ProxyCredentials>> {
    let wrong = |error| source.error(&file.span(), format!("auth: {error}"), "");
    let read = ProxyCredentials::read(&source.follow(file.get_ref()));
    read.map(Arc::new).map_err(wrong).ok()
}

/// The largest configuration file, in bytes. Lists are separate files.
const MAX_FILE: usize = 16 << 20;
