//! What became of a reload.

use super::Error;

/// What became of the options that were handed out last.
#[derive(Debug, Default)]
pub enum Last {
    /// They are in force.
    #[default]
    InForce,
    /// They cannot be had, and those before them stay in force.
    Refused(Error),
}

impl From<Result<(), Error>> for Last {
    fn from(result: Result<(), Error>) -> Self {
        match result {
            Ok(()) => Self::InForce,
            Err(error) => Self::Refused(error),
        }
    }
}
