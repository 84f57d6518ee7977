//! The size of a pool.

use std::fmt;
use std::str::FromStr;

/// The minimum and maximum number of sessions of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    min: usize,
    max: usize,
}

/// Why a text is not a pool size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPoolSize {
    /// Neither a number nor two numbers separated by `..`.
    #[error("expected MIN..MAX or a number, as in 1..8")]
    NotNumbers,
    /// The minimum is 0, above the maximum, or the maximum is too large.
    #[error("expected 1 <= MIN <= MAX <= {MOST}")]
    OutOfRange,
}

impl PoolSize {
    /// `min` sessions are kept open, and at most `max` are opened: 1 <= min <= max <= 64.
    pub fn new(min: usize, max: usize) -> Result<Self, InvalidPoolSize> {
        if 1 <= min && min <= max && max <= MOST {
            Ok(Self { min, max })
        } else {
            Err(InvalidPoolSize::OutOfRange)
        }
    }

    /// The same maximum with a minimum of one.
    pub(crate) fn starting_at_one(self) -> Self {
        Self { min: 1, ..self }
    }

    /// One session, and never another.
    pub(crate) fn single() -> Self {
        Self { min: 1, max: 1 }
    }

    /// The number of sessions that are kept open.
    pub fn min(self) -> usize {
        self.min
    }

    /// The maximum number of sessions, exceeded by one while a session is being replaced.
    pub fn max(self) -> usize {
        self.max
    }
}

impl Default for PoolSize {
    /// 1 to 8 sessions.
    fn default() -> Self {
        Self { min: 1, max: 8 }
    }
}

impl FromStr for PoolSize {
    type Err = InvalidPoolSize;

    /// Parses `MIN..MAX`, or one number for both.
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

/// The largest size; more sessions to one server are of no use.
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
