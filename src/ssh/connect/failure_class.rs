//! How a failure to connect bears on the next attempt.

/// How far an attempt to connect got, and so how much another one would bother the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The server could not be reached: nobody was bothered.
    Unreachable,
    /// The server turned us away before it knew who we are: it may be full.
    TurnedAway,
    /// The server did not accept our login, or we its host key: servers keep count of those who ask
    /// again, and people of who asks them.
    Refused,
}
