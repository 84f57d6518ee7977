//! How long a session is used.

use std::time::Duration;

use crate::openssh::client_config::RekeyLimit;

/// The limits of a session's use: this side never rekeys, and replaces the session instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifespan {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

impl Lifespan {
    /// The limits set by `RekeyLimit`, but not too small, since each session costs a login.
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

/// The age from which a session takes no new channels.
const MAX_AGE: Duration = Duration::from_secs(12 * 3600);
/// The bytes carried from which a session takes no new channels.
const MAX_BYTES: u64 = 256 << 30;
/// The minimum of an age set by `RekeyLimit`.
const MIN_AGE: Duration = Duration::from_secs(600);
/// The minimum of the bytes set by `RekeyLimit`.
const MIN_BYTES: u64 = 1 << 30;
