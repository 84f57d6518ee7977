//! Reads a list file in chunks.

use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;

use super::{InvalidEntry, ListError, Mistakes, Progress};
use crate::destination::Host;
use crate::route::addresses::{AddressSet, AddressSetBuilder, parse_prefix};
use crate::route::conditions_builder::strip_suffix_mark;
use crate::route::names::{NameSet, NameSetBuilder, is_host_name};

/// Reads all entries, and collects the lines that are not entries.
pub(super) fn read(
    from: impl Read,
    progress: &mut dyn Progress,
) -> Result<(NameSet, AddressSet, Mistakes), ListError> {
    let mut lines = BufReader::with_capacity(BUFFER, from);
    let mut entries = Entries::default();
    let mut mistakes = Mistakes::default();
    let mut line = Vec::new();
    for number in 1.. {
        let length = read_line(&mut lines, &mut line)
            .map_err(|cause| ListError::Read { line: number, cause })?;
        if length == 0 {
            break;
        }
        progress.advance(length);
        let text = if number == 1 { line.strip_prefix(BOM).unwrap_or(&line) } else { &line };
        if let Err(why) = entries.add_line(text) {
            mistakes.add(number, text.trim_ascii(), why);
        }
    }
    let names = entries.names.build().map_err(ListError::TooLarge)?;
    Ok((names, entries.addresses.build().map_err(ListError::TooLarge)?, mistakes))
}

/// The entries read so far.
#[derive(Default)]
struct Entries {
    names: NameSetBuilder,
    addresses: AddressSetBuilder,
}

impl Entries {
    fn add_line(&mut self, line: &[u8]) -> Result<(), InvalidEntry> {
        let start = line.trim_ascii_start();
        if start.starts_with(b"!") || is_dialect(start) {
            return Ok(());
        }
        let end = line.iter().position(|b| matches!(b, b'#' | b';')).unwrap_or(line.len());
        if is_cosmetic(line, end) {
            return Err(InvalidEntry::Cosmetic);
        }
        if line.len() > MAX_LINE && end == line.len() {
            return Err(InvalidEntry::TooLong);
        }
        let text = str::from_utf8(&line[..end]).map_err(|_| InvalidEntry::Encoding)?;
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (None, _) => Ok(()),
            (Some(entry), None) => self.add_entry(entry),
            (Some(address), Some(name)) => self.add_hosts(address, [name].into_iter().chain(words)),
        }
    }

    fn add_entry(&mut self, entry: &str) -> Result<(), InvalidEntry> {
        if entry.starts_with("@@") {
            return Err(InvalidEntry::Exception);
        }
        if let Some(rule) = entry.strip_prefix('|') {
            return self.add_blocker_rule(rule.strip_prefix('|').ok_or(InvalidEntry::PageRule)?);
        }
        if entry.contains('/') {
            self.addresses.insert(parse_prefix(entry).ok_or(InvalidEntry::Prefix)?);
            return Ok(());
        }
        let suffix = strip_suffix_mark(entry);
        match (parse_host(suffix.unwrap_or(entry))?, suffix) {
            (Host::Name(name), Some(_)) => self.names.suffix(&name),
            (Host::Name(name), None) => self.names.exact(&name),
            (Host::Ip(_), Some(_)) => return Err(InvalidEntry::Address),
            // A browser accepts a number as an address, but a list of numbers contains ports or ranks.
            (Host::Ip(_), None) => {
                self.addresses.insert(parse_prefix(entry).ok_or(InvalidEntry::Number)?);
            }
        }
        Ok(())
    }

    /// Adds `||name^`, given without the bars.
    fn add_blocker_rule(&mut self, rule: &str) -> Result<(), InvalidEntry> {
        // `important` only overrides exceptions, and `all` is what a proxy does anyway.
        let Some((name, "" | "$important" | "$all")) = rule.split_once('^') else {
            return Err(InvalidEntry::PageRule);
        };
        match parse_host(name)? {
            Host::Name(name) => self.names.suffix(&name),
            Host::Ip(ip) => self.addresses.insert(ip.into()),
        }
        Ok(())
    }

    /// Adds `0.0.0.0 name name`. The address is the resolver's answer, and has no meaning here.
    fn add_hosts<'a>(
        &mut self,
        address: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), InvalidEntry> {
        // The hosts file of macOS contains fe80::1%lo0.
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        address.parse::<IpAddr>().map_err(|_| InvalidEntry::Words)?;
        let mut wrong = Ok(());
        for name in names {
            match parse_host(name) {
                Ok(Host::Name(name)) if OWN_NAMES.contains(&&*name) => {}
                Ok(Host::Name(name)) => self.names.exact(&name),
                // Some files contain `0.0.0.0 0.0.0.0`.
                Ok(Host::Ip(_)) => {}
                // The other names in the line still count.
                Err(why) => wrong = wrong.and(Err(why)),
            }
        }
        wrong
    }
}

/// Whether it is the first line of an ad blocker's list: `[Adblock Plus 2.0]`.
fn is_dialect(line: &[u8]) -> bool {
    let word = line.get(..DIALECT.len()).unwrap_or_default();
    word.eq_ignore_ascii_case(DIALECT)
}

/// Whether the apparent comment at `at` is a rule for the content of pages: `name##.banner`, `name#@#.banner`
/// and the like. At the start of a line it names no host, and counts as a comment.
fn is_cosmetic(line: &[u8], at: usize) -> bool {
    let behind = line.get(at..).unwrap_or_default();
    let before = at.checked_sub(1).and_then(|before| line.get(before));
    before.is_some_and(|before| !before.is_ascii_whitespace())
        && COSMETIC.iter().any(|mark| behind.starts_with(mark))
}

fn parse_host(text: &str) -> Result<Host, InvalidEntry> {
    match text.parse()? {
        Host::Name(name) if name.contains('*') => Err(InvalidEntry::Wildcard),
        Host::Name(name) if !is_host_name(&name) => Err(InvalidEntry::Character),
        host => Ok(host),
    }
}

/// Reads a line including its end, and keeps at most [`MAX_LINE`] bytes and one more. Returns the number of
/// bytes of the line; 0 at EOF.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    let kept = from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', line)?;
    let skipped =
        if kept > MAX_LINE && !line.ends_with(b"\n") { from.skip_until(b'\n')? } else { 0 };
    Ok((kept + skipped) as u64)
}

/// The size of one read, in bytes.
const BUFFER: usize = 64 << 10;
/// The maximum length of a line, in bytes.
const MAX_LINE: usize = 64 << 10;
/// The start of an ad blocker's list.
const DIALECT: &[u8] = b"[Adblock";
/// The ad blocker separators between a host and what is hidden or changed on its pages.
const COSMETIC: [&[u8]; 5] = [b"##", b"#@#", b"#?#", b"#$#", b"#%#"];
/// The byte order mark that some editors add.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// The names of the machine itself in hosts files.
const OWN_NAMES: [&str; 11] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];
