//! How many sessions a pool has.

use std::fmt;
use std::str::FromStr;

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    min: usize,
    max: usize,
}

/// Why a text does not say how many sessions there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPoolSize {
    /// Neither a number nor two with `..` between them.
    #[error("expected MIN..MAX or a number, as in 1..8")]
    NotNumbers,
    /// The pool would be empty, or the bounds are the wrong way round, or too many.
    #[error("expected 1 <= MIN <= MAX <= {MOST}")]
    OutOfRange,
}

impl PoolSize {
    /// From `min`, which are kept open, to `max`: 1 <= min <= max <= 64.
    pub fn new(min: usize, max: usize) -> Result<Self, InvalidPoolSize> {
        if 1 <= min && min <= max && max <= MOST {
            Ok(Self { min, max })
        } else {
            Err(InvalidPoolSize::OutOfRange)
        }
    }

    /// From one on, with the same most.
    pub(crate) fn starting_at_one(self) -> Self {
        Self { min: 1, ..self }
    }

    /// One session, and never another.
    pub(crate) fn single() -> Self {
        Self { min: 1, max: 1 }
    }

    /// So many sessions are kept open.
    pub fn min(self) -> usize {
        self.min
    }

    /// So many are opened at the most.
    pub fn max(self) -> usize {
        self.max
    }
}

impl Default for PoolSize {
    /// From 1 to 8.
    fn default() -> Self {
        Self { min: 1, max: 8 }
    }
}

impl FromStr for PoolSize {
    type Err = InvalidPoolSize;

    /// Reads `MIN..MAX`, or one number for both.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse().map_err(|_| InvalidPoolSize::NotNumbers);
        match text.split_once("..") {
            Some((min, max)) => Self::new(number(min)?, number(max)?),
            None => number(text).and_then(|both| Self::new(both, both)),
        }
    }
}

impl fmt::Display for PoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

/// More sessions than that to one server help nobody.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("2..5".parse(), PoolSize::new(2, 5));
        assert_eq!("3".parse(), PoolSize::new(3, 3));
        assert_eq!("1..8".parse(), Ok(PoolSize::default()));
        for text in ["", "..", "1..", "a", "1-2", "-1", "1..2..3"] {
            assert_eq!(text.parse::<PoolSize>(), Err(InvalidPoolSize::NotNumbers), "{text}");
        }
        for text in ["0", "0..1", "2..1", "65"] {
            assert_eq!(text.parse::<PoolSize>(), Err(InvalidPoolSize::OutOfRange), "{text}");
        }
    }
}
