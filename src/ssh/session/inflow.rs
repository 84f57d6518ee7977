//! Limits the data in flight from the server.
//!
//! Channel windows are fixed before the path is known. If together they exceed the path's capacity, the excess
//! fills a queue on the path that other sessions and programs share. A smaller receive buffer of the socket
//! makes the excess wait at the server instead, where it delays nobody else.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How much the server of a session may send ahead, regardless of its channels' windows.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    /// The limit in bytes; 0 leaves it to the kernel.
    limit: AtomicU32,
}

impl Inflow {
    /// Sets the limit in bytes; `None` leaves it to the kernel.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        self.limit.store(limit.unwrap_or(0), Relaxed);
    }

    /// The limit in bytes; `None` leaves it to the kernel.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Relaxed)).filter(|&limit| limit > 0)
    }
}
