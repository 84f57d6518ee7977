//! Where a connection stands, and how it ended: closed sets, so that they may be labels.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Where a connection stands.
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
    /// It waits: for a look-up on this side, or for a session.
    Waiting,
    /// The far side was asked, and has not answered.
    Opening,
    /// Bytes go both ways.
    Relaying,
    /// One side has said all it had to say.
    HalfClosed,
    /// It is over.
    Ended,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Both sides said all they had to say.
    Clean,
    /// The session ended in the middle.
    Cut,
    /// The client left, be it before or after there was a connection.
    ClientGone,
    /// The client was so slow that there was no room for what waited for it.
    NoRoom,
    /// Somebody ended it by hand.
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
    /// The target could not be connected to, and why is not certain.
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
    /// This machine has run out of what a connection takes.
    Exhausted,
    /// It would have led to this program itself.
    Loop,
}

impl Outcome {
    /// Whether the client did not get what it asked for, and did not leave by itself.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Clean | Self::ClientGone | Self::Killed)
    }
}
