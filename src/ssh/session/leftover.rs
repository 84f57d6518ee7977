//! What a channel still carries to a receiver that is gone.

use super::channel::Incoming;

/// Counts the data that a channel still carries to a receiver that is gone. A target that ends at EOF may have
/// sent some of it before; one that sends more ignores EOF, and slows down all others on the line.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    received: usize,
}

impl Leftover {
    /// Takes note of an event. Returns whether to wait for the next one before the channel is closed.
    pub(crate) fn goes_on(&mut self, incoming: Option<&Incoming>) -> bool {
        match incoming {
            Some(Incoming::Data(data)) => self.received += data.len(),
            Some(Incoming::Eof) => {}
            Some(Incoming::Close) | None => return false,
        }
        self.received <= MOST
    }
}

/// The most data in bytes that counts as sent before.
const MOST: usize = 32 << 10;
