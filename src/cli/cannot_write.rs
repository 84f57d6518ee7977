//! A file that a command was to write, and could not.

use std::io;
use std::path::PathBuf;

use super::configured::shown;

/// The system refuses.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}", shown(.path))]
pub struct CannotWrite {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}
