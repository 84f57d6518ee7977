//! The state of a connection, and how it ended: closed sets, so that they may be labels.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// The state of a connection.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Waiting for a look-up on this side, or for a session.
    Waiting,
    /// The far side was asked, and has not answered.
    Opening,
    /// Data is relayed in both directions.
    Relaying,
    /// One side has sent EOF.
    HalfClosed,
    /// It has ended.
    Ended,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Both sides have sent EOF.
    Clean,
    /// The session ended in the middle.
    Cut,
    /// The client left, before or after the connection was established.
    ClientGone,
    /// The client was too slow, and the limits on queued data were reached.
    NoRoom,
    /// The user killed it.
    Killed,
    /// The target refused.
    ConnectionRefused,
    /// There is no such name.
    NameNotFound,
    /// The look-up on this side failed.
    LookUpFailed,
    /// There is no route to the target.
    NoRoute,
    /// The target's network cannot be reached.
    NetworkUnreachable,
    /// The target did not answer in time.
    TimedOut,
    /// The target could not be connected to, for an uncertain reason.
    Unreachable,
    /// The server forbids it.
    Prohibited,
    /// The server opens no further connection.
    ServerFull,
    /// A rule rejects it, or none allows it.
    Rejected,
    /// No server had a session in time.
    NoSession,
    /// The server did not answer in time.
    NoAnswer,
    /// This machine is out of a resource that connections need.
    Exhausted,
    /// The target was this program itself.
    Loop,
}

impl Outcome {
    /// Whether the client did not get what it asked for, and did not leave itself.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Clean | Self::ClientGone | Self::Killed)
    }
}
