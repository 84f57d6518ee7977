//! The outcome of a reload.

use super::Error;

/// The outcome of the options that were returned last.
#[derive(Debug, Default)]
pub enum Last {
    /// They are in force.
    #[default]
    InForce,
    /// They failed, and those before them stay in force.
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
