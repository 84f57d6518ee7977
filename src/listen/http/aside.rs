//! The state that bypasses hyper, between a client's stream and its exchange.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::slot::Slot;
use super::wire::request::{Malformed, RequestHead};
use crate::lock::lock;

/// Shared by a client's stream, its exchange and the connection to the web server, all of which run in one task.
#[derive(Debug)]
pub(crate) struct Aside {
    /// The parts of the current request's head that hyper does not see.
    head: Slot<Result<RequestHead, Malformed>>,
    /// The fault in the content of the current request.
    fault: Slot<Malformed>,
    /// Whether part of the current request is still to be read.
    has_more: AtomicBool,
    /// Whether the bytes are no longer HTTP.
    switched: AtomicBool,
    /// Whether hyper has written everything it had.
    flushed: AtomicBool,
    /// Whether hyper has received all of the last response.
    parting: AtomicBool,
    /// Whether that response was written, while the client withholds the content of its request.
    parted: AtomicBool,
    interim: Mutex<VecDeque<Bytes>>,
    /// Whether an interim response has arrived since the last query.
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

    /// Passes all further bytes through unchanged.
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

    /// Closes this side of the connection once hyper has written what it has.
    pub(crate) fn part(&self) {
        self.parting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_parting(&self) -> bool {
        self.parting.swap(false, Ordering::Relaxed)
    }

    /// Records that the last response was written and nothing more comes from the client.
    pub(crate) fn set_parted(&self) {
        self.parted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_parted(&self) -> bool {
        self.parted.swap(false, Ordering::Relaxed)
    }

    /// Passes an interim response to the client. It is dropped if it might end up inside another response, or
    /// if too many are queued: clients can do without.
    pub(crate) fn push_interim(&self, response: Bytes) {
        let mut interim = self.interim();
        if self.is_flushed() && interim.len() < MOST_INTERIM {
            interim.push_back(response);
            self.news.store(true, Ordering::Relaxed);
        }
    }

    /// The interim responses that have not been written yet.
    pub(crate) fn interim(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        lock(&self.interim)
    }

    /// Whether an interim response has arrived since the last query.
    pub(crate) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::Relaxed)
    }
}

/// The maximum number of queued interim responses.
const MOST_INTERIM: usize = 16;
