//! Measurements of one connection.

use std::ops::AddAssign;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The times of events, in microseconds since the connection began, plus one; 0 before the event.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The rules have decided.
    pub(super) decided: AtomicU64,
    /// A session was chosen; the last one if there were several.
    pub(super) placed: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) first_byte: AtomicU64,
    pub(super) ended: AtomicU64,
}

/// The bytes in one direction.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) bytes: AtomicU64,
    /// The total at the last beat.
    pub(super) before: AtomicU64,
    /// The bytes of the last beat.
    pub(super) rate: AtomicU64,
}

/// How long each stage of a connection took; none for an unfinished stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Until the rules had decided, including a look-up on this side.
    pub decided: Option<Duration>,
    /// From then until a session was available.
    pub waited: Option<Duration>,
    /// For the far side's look-up and connect, and one round trip.
    pub opened: Option<Duration>,
    /// From then until the first byte from the target.
    pub first_byte: Option<Duration>,
    /// From the beginning to the end.
    pub total: Option<Duration>,
}

/// Bytes in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// From the client.
    pub up: u64,
    /// To the client, counted when received from the far side.
    pub down: u64,
    /// From the client, in the last second.
    pub up_rate: u64,
    /// To the client, in the last second.
    pub down_rate: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.down += other.down;
        self.up_rate += other.up_rate;
        self.down_rate += other.down_rate;
    }
}

/// Data queued for a client that does not keep up, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In memory.
    pub memory: u64,
    /// In a temporary file.
    pub disk: u64,
}
