//! How long a session serves.

use std::time::Duration;

use crate::openssh::client_config::RekeyLimit;

/// How long a session serves: the keys are not renewed from our side, so it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifespan {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

impl Lifespan {
    /// As `RekeyLimit` says, within reason: a session costs a login.
    pub(crate) fn of(limit: &RekeyLimit) -> Self {
        let bytes = limit.bytes.unwrap_or(MAX_BYTES).clamp(MIN_BYTES, MAX_BYTES);
        Self { bytes, age: limit.age.unwrap_or(MAX_AGE).clamp(MIN_AGE, MAX_AGE) }
    }
}

impl Default for Lifespan {
    fn default() -> Self {
        Self::of(&RekeyLimit::default())
    }
}

/// A session that has been there for so long takes no new channels.
const MAX_AGE: Duration = Duration::from_secs(12 * 3600);
/// A session that has carried so many bytes takes no new channels.
const MAX_BYTES: u64 = 256 << 30;
/// No `RekeyLimit` makes it less than this.
const MIN_AGE: Duration = Duration::from_secs(600);
/// No `RekeyLimit` makes it less than this.
const MIN_BYTES: u64 = 1 << 30;
