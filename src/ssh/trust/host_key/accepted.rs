//! Why a host key is accepted.

/// An accepted host key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) verdict: HostKeyVerdict,
    /// Whether the server is trusted to announce further keys.
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
    /// It counts as known for this run if a person accepted it.
    #[strum(to_string = "it was new, and could not be put on record")]
    Unrecorded,
}

/// Whether the record follows the server's announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updates {
    /// The key is recorded in the user's own files under the server's name, or a person has just accepted it.
    Followed,
    /// The key was trusted in another way.
    Ignored,
}
