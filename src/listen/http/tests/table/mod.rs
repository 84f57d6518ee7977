//! Raw messages, and what arrives at the other end, each with the section that says so.

pub(super) mod answers;
pub(super) mod requests;

use super::*;

/// Bytes as text, to compare and to show.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
