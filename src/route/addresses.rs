//! Sets of addresses and prefixes of both families, from a handful to hundreds of thousands.
//!
//! The keys are prefixes in hexadecimal digits, followed by a letter for bits that do not fill a digit. One
//! walk along an address's digits finds every prefix that contains it. (A digit inside a key costs about one
//! byte: [`fst`] has a short form for bytes that are common in text. A prefix trie takes 16 bytes for five
//! bits, which is over 100 bytes for an IPv6 address.)

use std::iter;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::keys::{KeySet, KeySetBuilder};

/// A set of prefixes. IPv4-mapped IPv6 addresses count as IPv4 addresses.
#[derive(Clone, Debug)]
pub(super) struct AddressSet {
    keys: KeySet,
}

/// Collects the prefixes of an [`AddressSet`], in any order, duplicates included.
#[derive(Debug, Default)]
pub(super) struct AddressSetBuilder {
    keys: KeySetBuilder,
}

impl AddressSet {
    pub(super) fn find(&self, address: IpAddr) -> Option<IpNet> {
        let address = address.to_canonical();
        let digits = Digits::of(address);
        let prefix = |length| IpNet::new(address, length).ok().map(|prefix| prefix.trunc());
        let mut place = self.keys.start().step(digits.family)?;
        for at in 0..digits.count {
            if place.is_key() {
                return prefix(4 * at);
            }
            // Most positions have no letters, which one comparison shows.
            let letters = if place.reaches(FIRST_LETTER) { 1..4 } else { 0..0 };
            for bits in letters {
                if place.ends_with(letter(digits.at(at), bits)) {
                    return prefix(4 * at + bits);
                }
            }
            place = place.step(hexadecimal(digits.at(at)))?;
        }
        if place.is_key() { prefix(4 * digits.count) } else { None }
    }

    /// Visits all prefixes: `4` or `6`, then the bits as `0` and `1`.
    pub(super) fn for_each(&self, mut show: impl FnMut(String)) {
        self.keys.for_each(|key| {
            let (family, key) = key.split_first().expect("each key has a family");
            let bits = key.iter().map(|byte| match char::from(*byte).to_digit(16) {
                Some(digit) => format!("{digit:04b}"),
                // A letter encodes its bits after a leading one, so that the numbers start at two.
                None => format!("{:b}", byte - FIRST_LETTER + 2)[1..].to_owned(),
            });
            show(iter::once(char::from(*family).to_string()).chain(bits).collect());
        });
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its memory use in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes()
    }
}

impl AddressSetBuilder {
    /// Adds a prefix that [`parse_prefix`] returned.
    pub(super) fn insert(&mut self, prefix: IpNet) {
        let digits = Digits::of(prefix.addr());
        let (whole, bits) = (prefix.prefix_len() / 4, prefix.prefix_len() % 4);
        let rest = (bits > 0).then(|| letter(digits.at(whole), bits));
        let key = (0..whole).map(|at| hexadecimal(digits.at(at))).chain(rest);
        self.keys.push(iter::once(digits.family).chain(key));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn build(self) -> Result<AddressSet, fst::Error> {
        Ok(AddressSet { keys: self.keys.build()? })
    }
}

/// The hexadecimal digits of an address, the first one in the highest bits.
struct Digits {
    bits: u128,
    count: u8,
    family: u8,
}

impl Digits {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ip) => Self { bits: u128::from(ip.to_bits()) << 96, count: 8, family: b'4' },
            IpAddr::V6(ip) => Self { bits: ip.to_bits(), count: 32, family: b'6' },
        }
    }

    /// A digit, 0 to 15, by its position from 0.
    fn at(&self, place: u8) -> u8 {
        (self.bits >> (124 - 4 * u32::from(place)) & 0xf) as u8
    }
}

fn hexadecimal(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit)]
}

/// The first 1 to 3 bits of a digit in a key: `g` or `h`, `i` to `l`, `m` to `t`.
fn letter(digit: u8, bits: u8) -> u8 {
    FIRST_LETTER + (1 << bits) - 2 + (digit >> (4 - bits))
}

/// Parses an address, or a prefix such as `10.0.0.0/8`; bits beyond the prefix are ignored. None if the text is
/// neither.
pub(super) fn parse_prefix(text: &str) -> Option<IpNet> {
    let prefix = match text.split_once('/') {
        Some(_) => text.parse::<IpNet>().ok()?,
        None => text.parse::<IpAddr>().ok()?.into(),
    };
    Some(
        match prefix {
            IpNet::V6(v6) => unmapped(v6).map_or(IpNet::V6(v6), IpNet::V4),
            v4 @ IpNet::V4(_) => v4,
        }
        .trunc(),
    )
}

/// The IPv4 form: `::ffff:10.0.0.0/104` contains the same addresses as 10.0.0.0/8.
fn unmapped(prefix: Ipv6Net) -> Option<Ipv4Net> {
    let length = prefix.prefix_len().checked_sub(96)?;
    Ipv4Net::new(prefix.addr().to_ipv4_mapped()?, length).ok()
}

/// The byte after the hexadecimal digits.
const FIRST_LETTER: u8 = b'g';

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_have_one_spelling() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("FD00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_prefix(text).expect(text).to_string(), shown);
        }
        for text in
            ["", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0/8", "name", "::1/129"]
        {
            assert_eq!(parse_prefix(text), None, "{text:?}");
        }
    }

    fn set(prefixes: &[&str]) -> AddressSet {
        let mut builder = AddressSetBuilder::default();
        for text in prefixes {
            builder.insert(parse_prefix(text).expect(text));
        }
        builder.build().expect("a set")
    }

    #[test]
    fn the_broadest_prefix_is_found_in_its_own_family() {
        let set = set(&["10.0.0.0/8", "10.1.0.0/16", "10.9.9.9/8", "fd00::/8", "192.0.2.7"]);
        let find = |text: &str| set.find(text.parse().expect(text)).map(|p| p.to_string());
        assert_eq!(find("10.1.2.3").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(find("::ffff:10.1.2.3").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(find("fd12::1").as_deref(), Some("fd00::/8"));
        assert_eq!(find("192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(find("192.0.2.8"), None);
        assert_eq!(find("::1"), None);
        assert_eq!(set.len(), 4);
    }

    #[test]
    fn prefixes_are_shown_bit_by_bit() {
        let set = set(&[
            "10.0.0.0/8",
            "160.0.0.0/3",
            "128.0.0.0/2",
            "64.0.0.0/5",
            "0.0.0.0/0",
            "8000::/1",
        ]);
        let mut shown = Vec::new();
        set.for_each(|bits| shown.push(bits));
        assert_eq!(shown, ["4", "400001010", "401000", "410", "4101", "61"]);
    }

    proptest! {
        #[test]
        fn an_address_is_found_in_the_prefixes_that_contain_it(
            v6: bool, prefixes in vec((any::<u128>(), 0_u8..=128), 0..20), near in any::<u128>(),
        ) {
            let ip = |bits: u128| if v6 { IpAddr::V6(bits.into()) } else {
                IpAddr::V4(((bits >> 96) as u32).into())
            };
            // Only a few bits vary, so that prefixes overlap and contain some addresses.
            let few = |bits: u128| bits & (0x9001_8003 << 96 | 0x8003);
            let prefixes: Vec<IpNet> = prefixes.into_iter().filter_map(|(bits, length)| {
                let length = if v6 { length } else { length / 4 };
                Some(IpNet::new(ip(few(bits)), length).ok()?.trunc())
            }).collect();
            let mut builder = AddressSetBuilder::default();
            for prefix in &prefixes {
                builder.insert(*prefix);
            }
            let set = builder.build().expect("a set");
            for address in prefixes.iter().flat_map(|p| [p.network(), p.broadcast()]).chain([
                ip(few(near)), ip(0), ip(u128::MAX),
            ]) {
                let address = address.to_canonical();
                let holding = prefixes.iter().filter(|prefix| prefix.contains(&address));
                prop_assert_eq!(set.find(address), holding.min_by_key(|p| p.prefix_len()).copied());
            }
        }
    }
}
