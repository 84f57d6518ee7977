//! What is measured of one connection.

use std::ops::AddAssign;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When something happened, in microseconds after it began, plus one; 0 where it has not yet.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The rules have said which way.
    pub(super) decided: AtomicU64,
    /// A session was chosen, the last one where there were several.
    pub(super) placed: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) first_byte: AtomicU64,
    pub(super) ended: AtomicU64,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) bytes: AtomicU64,
    /// As of the last beat.
    pub(super) before: AtomicU64,
    /// In the last beat.
    pub(super) rate: AtomicU64,
}

/// How long each stage of a connection took; none for one that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Until the rules had decided, with a look-up on this side where one of them wanted it.
    pub decided: Option<Duration>,
    /// From then on until there was a session, of a server that carries it.
    pub waited: Option<Duration>,
    /// What the far side needed: look-up and connect together, and one round trip.
    pub opened: Option<Duration>,
    /// From then on until the target sent its first byte.
    pub first_byte: Option<Duration>,
    /// All of it, to the end.
    pub total: Option<Duration>,
}

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// From the client.
    pub up: u64,
    /// To the client, as it came from the far side.
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

/// What waits for a client that does not keep up, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In memory.
    pub memory: u64,
    /// In a temporary file.
    pub disk: u64,
}
