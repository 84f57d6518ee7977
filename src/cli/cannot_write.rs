//! The error of commands that write a file.

use std::io;
use std::path::PathBuf;

use super::configured::shown;

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}", shown(.path))]
pub struct CannotWrite {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}
