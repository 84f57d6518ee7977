//! Raw messages and what arrives at the other end, each with the section that specifies it.

pub(super) mod answers;
pub(super) mod requests;

use super::*;

/// Bytes as text, for comparison and display.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
