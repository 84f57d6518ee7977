//! What passes beside hyper, between a client's stream and its exchange.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::slot::Slot;
use super::wire::request::{Malformed, RequestHead};
use crate::lock::lock;

/// Shared by one client's stream, its exchange and the connection to the web server, all of which run
/// in one task.
#[derive(Debug)]
pub(crate) struct Aside {
    /// What hyper does not see of the request that it reads.
    head: Slot<Result<RequestHead, Malformed>>,
    /// What was wrong with the content of the request under way.
    fault: Slot<Malformed>,
    /// Whether some of the request under way is still to come.
    has_more: AtomicBool,
    /// Whether the bytes are no HTTP any more.
    switched: AtomicBool,
    /// Whether hyper has written all that it had.
    flushed: AtomicBool,
    /// Whether hyper has all of the last response.
    parting: AtomicBool,
    /// Whether that has been written, and the client keeps the content of its request.
    parted: AtomicBool,
    interim: Mutex<VecDeque<Bytes>>,
    /// Whether an interim response has come since somebody asked.
    news: AtomicBool,
}

impl Aside {
    pub(crate) fn new() -> Self {
        Self {
            head: Slot::new(None),
            fault: Slot::new(None),
            has_more: AtomicBool::new(false),
            switched: AtomicBool::new(false),
            flushed: AtomicBool::new(true),
            parting: AtomicBool::new(false),
            parted: AtomicBool::new(false),
            interim: Mutex::default(),
            news: AtomicBool::new(false),
        }
    }

    pub(crate) fn put_head(&self, head: Result<RequestHead, Malformed>) {
        self.head.put(head);
    }

    /// The head of the request that hyper has just read.
    pub(crate) fn take_head(&self) -> Option<Result<RequestHead, Malformed>> {
        self.head.take()
    }

    pub(crate) fn put_fault(&self, fault: Malformed) {
        self.fault.put(fault);
    }

    pub(crate) fn take_fault(&self) -> Option<Malformed> {
        self.fault.take()
    }

    pub(crate) fn set_more(&self, has_more: bool) {
        self.has_more.store(has_more, Ordering::Relaxed);
    }

    pub(crate) fn has_more(&self) -> bool {
        self.has_more.load(Ordering::Relaxed)
    }

    /// From here on the bytes go through as they are.
    pub(crate) fn switch(&self) {
        self.switched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_switched(&self) -> bool {
        self.switched.load(Ordering::Relaxed)
    }

    pub(crate) fn set_flushed(&self, flushed: bool) {
        self.flushed.store(flushed, Ordering::Relaxed);
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.flushed.load(Ordering::Relaxed)
    }

    /// Our side of the connection ends when hyper has written what it has.
    pub(crate) fn part(&self) {
        self.parting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_parting(&self) -> bool {
        self.parting.swap(false, Ordering::Relaxed)
    }

    /// The last response has been written, and nothing more comes from the client.
    pub(crate) fn set_parted(&self) {
        self.parted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_parted(&self) -> bool {
        self.parted.swap(false, Ordering::Relaxed)
    }

    /// Hands an interim response to the client. It is left out where it could come to stand within
    /// another response, or where too many of them wait: a client does without.
    pub(crate) fn push_interim(&self, response: Bytes) {
        let mut interim = self.interim();
        if self.is_flushed() && interim.len() < MOST_INTERIM {
            interim.push_back(response);
            self.news.store(true, Ordering::Relaxed);
        }
    }

    /// The interim responses that are not written yet.
    pub(crate) fn interim(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        lock(&self.interim)
    }

    /// Whether an interim response has come since this was last asked.
    pub(crate) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::Relaxed)
    }
}

/// The most interim responses that wait for a client to take them.
const MOST_INTERIM: usize = 16;
