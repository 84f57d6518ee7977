//! What is known of a channel before it is opened.

/// What the opening of a channel may do to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// Nothing: to an address, or a name that this server has resolved lately.
    Plain,
    /// A name whose resolution may take the server a while, during which the whole session stands still.
    UnresolvedName,
    /// A target at whose failure a session has ended: it is opened on a session that carries nothing
    /// else.
    Isolated,
}
