//! The state that bypasses hyper, between a client's stream and its exchange.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::slot::Slot;
use super::wire::request::{Malformed, RequestHead};
use crate::lock::lock;

/// Shared by a client's stream, its exchange and the connection to the web server, all of which run in one task.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// The parts of the head that hyper does not see, of the request that it has just read.
    pub(crate) head: Slot<Result<RequestHead, Malformed>>,
    /// The fault in the content of the current request.
    pub(crate) fault: Slot<Malformed>,
    /// Whether part of the current request is still to be read.
    pub(crate) has_more: AtomicBool,
    /// Whether the bytes are no longer HTTP, and pass through unchanged.
    pub(crate) has_switched: AtomicBool,
    /// Whether hyper has more to write.
    pub(crate) is_writing: AtomicBool,
    /// Whether hyper has received all of the last response: this side of the connection is closed once it is written.
    pub(crate) is_parting: AtomicBool,
    /// Whether that response was written, while the client withholds the content of its request.
    pub(crate) has_parted: AtomicBool,
    interim: Mutex<VecDeque<Bytes>>,
    /// Whether an interim response has arrived since the last query.
    pub(crate) has_news: AtomicBool,
}

impl Aside {
    /// Passes an interim response to the client. It is dropped if it might end up inside another response, or
    /// if too many are queued: clients can do without.
    pub(crate) fn push_interim(&self, response: Bytes) {
        let mut interim = self.interim();
        if !self.is_writing.load(Relaxed) && interim.len() < MOST_INTERIM {
            interim.push_back(response);
            self.has_news.store(true, Relaxed);
        }
    }

    /// The interim responses that have not been written yet.
    pub(crate) fn interim(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        lock(&self.interim)
    }
}

/// The maximum number of queued interim responses.
const MOST_INTERIM: usize = 16;
