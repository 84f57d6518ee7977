//! The `port` condition.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::destination::is_number;

/// A port or an inclusive range of ports, such as `443` or `8000-8999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text is not a port range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidPortRange {
    #[error("a port is a number from 1 to 65535, and a range two of them, as 8000-8999")]
    Port,
    #[error("the range ends before it starts")]
    Reversed,
}

impl PortRange {
    /// An inclusive range. Neither end is 0.
    pub fn new(first: u16, last: u16) -> Result<Self, InvalidPortRange> {
        if first == 0 || last == 0 {
            Err(InvalidPortRange::Port)
        } else if last < first {
            Err(InvalidPortRange::Reversed)
        } else {
            Ok(Self { first, last })
        }
    }

    /// Whether it contains a port.
    pub fn contains(self, port: u16) -> bool {
        self.ports().contains(&port)
    }

    pub(super) fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl TryFrom<u16> for PortRange {
    type Error = InvalidPortRange;

    fn try_from(port: u16) -> Result<Self, Self::Error> {
        Self::new(port, port)
    }
}

impl FromStr for PortRange {
    type Err = InvalidPortRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |text: &str| {
            let text = text.trim();
            text.parse().ok().filter(|_| is_number(text)).ok_or(InvalidPortRange::Port)
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text)?.try_into(),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_print_what_they_parse_and_include_both_ends() {
        for (text, shown) in
            [("443", "443"), ("8000-8999", "8000-8999"), ("1-65535", "1-65535"), ("7 - 7", "7")]
        {
            assert_eq!(text.parse::<PortRange>().expect(text).to_string(), shown);
        }
        let range: PortRange = "8000-8999".parse().expect("a range");
        for (port, within) in [(7999, false), (8000, true), (8999, true), (9000, false)] {
            assert_eq!(range.contains(port), within, "{port}");
        }
    }

    #[test]
    fn errors_state_the_reason() {
        for text in ["", "0", "0-5", "65536", "+1", "http", "1-", "-1", "1-2-3"] {
            assert_eq!(text.parse::<PortRange>(), Err(InvalidPortRange::Port), "{text:?}");
        }
        assert_eq!("9-8".parse::<PortRange>(), Err(InvalidPortRange::Reversed));
    }
}
