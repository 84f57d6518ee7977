//! What came from a server, whatever it says.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// What came through a transport, for those who look on.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    /// Bytes of the packet that is coming in; 0 between two.
    packet: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Traffic {
    /// Counts what has just come. Only the transport does this.
    pub(crate) fn add(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Relaxed);
        self.packet.fetch_add(bytes.len() as u64, Relaxed);
        if before < HEAD {
            let left = usize::try_from(HEAD - before).unwrap_or(usize::MAX);
            self.lock().extend(&bytes[..bytes.len().min(left)]);
        }
    }

    /// The next packet begins. Only the transport says this.
    pub(crate) fn packet_begins(&self) {
        self.packet.store(0, Relaxed);
    }

    /// What introduces the other side, however much came before it.
    pub(crate) fn set_head(&self, line: &[u8]) {
        *self.lock() = line.to_vec();
    }

    /// How many bytes have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// How many of them belong to the packet that is coming in; 0 between two.
    pub(crate) fn of_packet(&self) -> u64 {
        self.packet.load(Relaxed)
    }

    /// The first of them: how the other side introduces itself.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.head)
    }
}

/// What is kept of the beginning: a version and some lines before it (RFC 4253 section 4.2). In bytes.
const HEAD: u64 = 1024;
