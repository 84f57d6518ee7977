//! Why a host key is accepted.

/// A host key that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) verdict: HostKeyVerdict,
    /// Whether the server is believed when it announces further keys.
    pub(crate) updates: Updates,
}

/// Why a host key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub(crate) enum HostKeyVerdict {
    #[strum(to_string = "it is on record")]
    Known,
    #[strum(to_string = "an authority on record vouches for it")]
    Certified,
    #[strum(to_string = "it was new, and is on record now")]
    Added,
    /// For this run it counts as known when a person accepted it.
    #[strum(to_string = "it was new, and could not be put on record")]
    Unrecorded,
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
