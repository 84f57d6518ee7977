//! The raw data received from a server.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// The data received through a transport, for observers.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    /// Bytes of the incoming packet; 0 between packets.
    packet: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Traffic {
    /// Counts received data. Only the transport calls this.
    pub(crate) fn add(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Relaxed);
        self.packet.fetch_add(bytes.len() as u64, Relaxed);
        if before < HEAD {
            let left = usize::try_from(HEAD - before).unwrap_or(usize::MAX);
            self.lock().extend(&bytes[..bytes.len().min(left)]);
        }
    }

    /// Begins the next packet. Only the transport calls this.
    pub(crate) fn packet_begins(&self) {
        self.packet.store(0, Relaxed);
    }

    /// Sets the server's identification, however much preceded it.
    pub(crate) fn set_head(&self, line: &[u8]) {
        *self.lock() = line.to_vec();
    }

    /// The number of bytes received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// How many of them belong to the incoming packet; 0 between packets.
    pub(crate) fn of_packet(&self) -> u64 {
        self.packet.load(Relaxed)
    }

    /// The beginning of the data: the server's identification.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.head)
    }
}

/// The bytes kept of the beginning: the identification and some lines before it (RFC 4253 section 4.2).
const HEAD: u64 = 1024;
