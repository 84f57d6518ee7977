//! Limits on the data queued for slow clients, each and in total.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytesize::ByteSize;

use super::down::LARGE;

/// Limits on the data queued for clients that do not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogLimits {
    /// Memory for one connection, in bytes, excluding data on its way to a file. Default 16 MiB.
    pub connection: u64,
    /// Memory for all connections, in bytes. Default 256 MiB.
    pub memory: u64,
    /// Temporary files of all connections, in bytes; 0 turns spilling off. Default 1 GiB.
    pub spill: u64,
}

/// Why limits are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBacklogLimits {
    /// The text does not have three parts.
    #[error("expected CONNECTION,MEMORY,FILES, as in 16MiB,256MiB,1GiB")]
    NotThree,
    /// A part is not a size.
    #[error("{text}: {why}")]
    NotASize {
        /// The part as written.
        text: String,
        /// Why it is not a size.
        why: String,
    },
    /// A connection's limit is below the size that marks it as slow (1 MiB), or above the total.
    #[error("a connection needs at least 1MiB, and no more than all together")]
    OutOfRange,
}

/// A total that all connections share, and its limit.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicU64>,
    limit: u64,
}

/// One connection's part of a [`Budget`], released on drop.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: u64,
}

impl Default for BacklogLimits {
    fn default() -> Self {
        Self { connection: 16 << 20, memory: 256 << 20, spill: 1 << 30 }
    }
}

impl BacklogLimits {
    /// Limits in bytes: 1 MiB <= `connection` <= `memory`; `spill` may be 0.
    ///
    /// # Errors
    ///
    /// [`InvalidBacklogLimits::OutOfRange`].
    pub fn new(connection: u64, memory: u64, spill: u64) -> Result<Self, InvalidBacklogLimits> {
        if connection < LARGE || connection > memory {
            return Err(InvalidBacklogLimits::OutOfRange);
        }
        Ok(Self { connection, memory, spill })
    }
}

impl FromStr for BacklogLimits {
    type Err = InvalidBacklogLimits;

    /// Reads `CONNECTION,MEMORY,FILES`, each in bytes or with a unit (`16MiB`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sizes: Vec<_> = text.split(',').map(size).collect::<Result<_, _>>()?;
        let &[connection, memory, spill] = sizes.as_slice() else {
            return Err(InvalidBacklogLimits::NotThree);
        };
        Self::new(connection, memory, spill)
    }
}

fn size(text: &str) -> Result<u64, InvalidBacklogLimits> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|why| InvalidBacklogLimits::NotASize { text: text.to_owned(), why })
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// The sum of all shares.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

impl Share {
    /// Sets this share to `amount`, even beyond the limit: the data exists already.
    pub(super) fn set(&mut self, amount: u64) {
        if amount == self.taken {
            return;
        }
        if amount > self.taken {
            self.budget.used.fetch_add(amount - self.taken, Relaxed);
        } else {
            self.budget.used.fetch_sub(self.taken - amount, Relaxed);
        }
        self.taken = amount;
    }

    /// The size of this share.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the shares together have reached the limit.
    pub(super) fn is_used_up(&self) -> bool {
        self.budget.used.load(Relaxed) >= self.budget.limit
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_from_a_command_line() {
        use InvalidBacklogLimits::*;
        let parse = |text: &str| text.parse::<BacklogLimits>();
        assert_eq!(parse("16MiB,256MiB,1GiB"), Ok(BacklogLimits::default()));
        let off = BacklogLimits { connection: 1 << 20, memory: 1 << 20, spill: 0 };
        assert_eq!(parse("1048576,1 MiB,0"), Ok(off));
        assert_eq!(parse("16MiB"), Err(NotThree));
        assert!(matches!(parse("a,1MiB,0"), Err(NotASize { text, .. }) if text == "a"));
        assert_eq!(parse("1KiB,1MiB,0"), Err(OutOfRange));
        assert_eq!(parse("2MiB,1MiB,0"), Err(OutOfRange));
    }

    #[test]
    fn shares_add_up_and_are_released() {
        let budget = Budget::new(10);
        let (mut a, mut b) = (budget.share(), budget.share());
        a.set(6);
        assert!(!b.is_used_up());
        b.set(4);
        assert!(a.is_used_up());
        a.set(1);
        assert!(!a.is_used_up());
        drop((a, b));
        assert_eq!(budget.used(), 0);
    }
}
