//! What is known of a channel before it is opened.

/// How long the server may take to open a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// An address, or a name that this server has resolved lately.
    Plain,
    /// A name that may take the server a while, during which the whole session stands still.
    Scout,
    /// A target at whose failure a session has ended: it is asked for on a session that carries nobody
    /// else.
    Alone,
}
