//! Errors and mistakes in list files.

use std::fmt;
use std::io;

use crate::destination::InvalidDestination;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file does not exist or may not be read.
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    /// Reading failed midway.
    #[error("cannot be read from line {line} on: {cause}")]
    Read {
        /// The line, from 1.
        line: u64,
        /// The cause.
        cause: io::Error,
    },
    /// The entries exceed the capacity of a set.
    #[error("it has too many entries: {0}")]
    TooLarge(fst::Error),
}

/// The lines that are not entries: the first few, and their total number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The first 10, in order.
    pub first: Vec<Mistake>,
    /// Their number.
    pub count: u64,
}

/// A line that is not an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: u64,
    /// Its text, escaped and truncated to 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: InvalidEntry,
}

/// Why a text is not an entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidEntry {
    #[error(transparent)]
    Name(#[from] InvalidDestination),
    #[error("an address has no suffixes: a prefix is written as 10.0.0.0/8")]
    Address,
    #[error("`*` can only stand at the start, as in *.example.com")]
    Wildcard,
    #[error("a host name has only letters, digits, `-`, `_` and `.`")]
    Character,
    #[error("a number is no entry: an address is written as 192.0.2.7")]
    Number,
    #[error("not a range of addresses, as 10.0.0.0/8 or fd00::/8")]
    Prefix,
    /// A rule for the content of pages (`##`), which a proxy does not see.
    #[error("hides parts of pages, which a proxy cannot")]
    Cosmetic,
    /// An exception (`@@`), which lists do not support.
    #[error("an exception: a rule before this one can let it pass")]
    Exception,
    /// A rule of an ad blocker that applies only to some requests to a host.
    #[error("of ad blocker rules, only ||name^ is supported: a proxy sees hosts, not pages")]
    PageRule,
    #[error("one entry a line, or an address and names as in a hosts file")]
    Words,
    /// `address=/name/0.0.0.0`, `server=/name/`.
    #[error("a line of dnsmasq: a list contains only the name, as *.example.com")]
    Dnsmasq,
    /// `payload:`, `- '+.name'`.
    #[error("YAML: a list contains only the names, one per line")]
    Yaml,
    /// An entry of a sing-box rule set.
    #[error("JSON: a list contains only the names, one per line")]
    Json,
    /// `DOMAIN-SUFFIX,name`.
    #[error("a rule of Clash: a list contains only the name, as *.example.com for a suffix")]
    Clash,
    #[error("the line is longer than 64 KiB")]
    TooLong,
    #[error("not UTF-8")]
    Encoding,
}

impl Mistakes {
    pub(super) fn add(&mut self, line: u64, text: &[u8], why: InvalidEntry) {
        self.count += 1;
        if self.first.len() < REPORTED {
            // A character has at most four bytes; one more character than shown marks the text as truncated.
            let why = InvalidEntry::of_format(text).unwrap_or(why);
            let text = String::from_utf8_lossy(&text[..text.len().min(4 * (SHOWN + 1))]);
            let text = crate::printable::printable(&text, SHOWN, crate::printable::Lines::One);
            self.first.push(Mistake { line, text, why });
        }
    }
}

impl InvalidEntry {
    /// The error for a line in a known format of other lists.
    fn of_format(line: &[u8]) -> Option<Self> {
        let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word.as_bytes()));
        if begins(&["address=/", "server=/", "local=/", "ipset=/", "nftset=/"]) {
            Some(Self::Dnsmasq)
        } else if begins(&["- "]) || matches!(line, b"payload:" | b"-" | b"---") {
            Some(Self::Yaml)
        } else if begins(&["{", "}", "[", "]", "\""]) {
            Some(Self::Json)
        } else if begins(&["DOMAIN,", "DOMAIN-", "IP-CIDR"]) {
            Some(Self::Clash)
        } else {
            None
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.text, self.why)
    }
}

/// The number of mistakes kept per file.
const REPORTED: usize = 10;
/// The number of characters shown of a line.
const SHOWN: usize = 80;
