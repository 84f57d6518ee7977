//! Data that a client has not read yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bytes queued for a client, in the pieces in which they arrived.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Backlog {
    /// Adds a piece at the end.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        self.pieces.push_back(piece);
    }

    /// Moves all of `other` to the end.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.len += std::mem::take(&mut other.len);
        self.pieces.append(&mut other.pieces);
    }

    /// The approximate memory use in bytes, including the overhead of each piece.
    pub(super) fn weight(&self) -> u64 {
        (self.len + self.pieces.len() * PIECE) as u64
    }

    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first pieces, for a vectored write. Returns how many of `slices` were filled.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Discards the first `written` bytes.
    pub(super) fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written > 0 {
            let first = self.pieces.front_mut().expect("no more was written than was queued");
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            // The queue's allocation is released, so that an idle connection holds no buffer.
            self.pieces = VecDeque::new();
        }
    }
}

impl IntoIterator for Backlog {
    type Item = Bytes;
    type IntoIter = std::collections::vec_deque::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter()
    }
}

/// The overhead of a piece in bytes: its queue entry, and the packet buffer that it keeps alive.
const PIECE: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_in_which_they_arrived(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20),
            steps in prop::collection::vec(1_usize..80, 1..200),
        ) {
            let mut backlog = Backlog::default();
            for piece in &pieces {
                backlog.push(Bytes::copy_from_slice(piece));
            }
            let mut out = Vec::new();
            for step in steps {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = backlog.slices(&mut slices);
                let window: Vec<u8> =
                    slices[..filled].iter().flat_map(|s| s.iter().copied()).take(step).collect();
                out.extend_from_slice(&window);
                backlog.advance(window.len());
            }
            let all = pieces.concat();
            prop_assert_eq!(&out[..], &all[..out.len()]);
            prop_assert_eq!(backlog.len, all.len() - out.len());
        }
    }
}
