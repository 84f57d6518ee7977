//! Why a host key is accepted.

use std::fmt;

/// A host key that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Why.
    pub(crate) verdict: HostKeyVerdict,
    /// Whether the server is believed when it announces further keys.
    pub(crate) updates: Updates,
}

/// Why a host key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKeyVerdict {
    /// It is on record.
    Known,
    /// An authority on record vouches for it.
    Certified,
    /// It was new and is on record now.
    Added,
    /// It was new and accepted, and could not be put on record; for this run it counts as known
    /// when a person accepted it.
    Unrecorded,
}

impl fmt::Display for HostKeyVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known => "it is on record",
            Self::Certified => "an authority on record vouches for it",
            Self::Added => "it was new, and is on record now",
            Self::Unrecorded => "it was new, and could not be put on record",
        })
    }
}

/// Whether the record follows the keys that the server announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updates {
    /// The key stands in the user's own files under the server's name, or a person has just
    /// accepted it.
    Followed,
    /// It was trusted in some other way.
    Ignored,
}
