//! Bounds what is on its way from the server.
//!
//! The windows of a session's channels are fixed before its line is known. Where they turn out to allow more than
//! the line carries, that fills the line's queue, which other sessions and programs share. So the socket takes
//! less ahead, and the rest waits at the server, where it is in nobody else's way.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How much one session's server may send ahead, whatever its channels allow.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    /// In bytes; 0 for as much as the kernel sees fit.
    limit: AtomicU32,
}

impl Inflow {
    /// Sets the limit in bytes; none for as much as the kernel sees fit.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        self.limit.store(limit.unwrap_or(0), Relaxed);
    }

    /// In bytes; none for as much as the kernel sees fit.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Relaxed)).filter(|&limit| limit > 0)
    }
}
