//! Position-dependent test data, and checksums to compare it by.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// A stream of a given length in which every eight bytes depend on their position, so that a lost,
/// duplicated, moved or changed byte is detected.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    at: u64,
    end: u64,
}

/// The length and the SHA-256 of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

impl Content {
    /// The first `length` bytes of the stream.
    pub(crate) fn of(length: u64) -> Self {
        Self { at: 0, end: length }
    }

    /// The entire stream.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).expect("reading from memory");
        bytes
    }

    /// The checksum of the stream.
    pub(crate) fn sum(self) -> Sum {
        Sum::of(self).expect("reading from memory")
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.at < self.end {
            let word = word(self.at / WORD).to_le_bytes();
            let rest = &word[usize::try_from(self.at % WORD).expect("less than 8")..];
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let count = rest.len().min(buffer.len() - filled).min(left);
            buffer[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            self.at += count as u64;
        }
        Ok(filled)
    }
}

impl Sum {
    /// Reads `stream` to its end.
    pub(crate) fn of(mut stream: impl Read) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut length = 0;
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            length += count as u64;
        }
        let sha256 = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string");
            hex
        });
        Ok(Self { length, sha256 })
    }
}

/// Whether `bytes` are a prefix of the stream.
pub(crate) fn is_prefix(bytes: &[u8]) -> bool {
    Content::of(bytes.len() as u64).bytes() == bytes
}

/// The eight bytes at a position (the finalizer of `SplitMix64`).
fn word(place: u64) -> u64 {
    let mut z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const WORD: u64 = 8;
