//! Sets of names and suffixes, from a handful to millions.
//!
//! The keys are reversed names, so that a suffix becomes a prefix: one walk along the name's bytes finds the
//! name itself and all of its suffixes.

use super::keys::{KeySet, KeySetBuilder};

/// Names in their normal spelling (see [`crate::destination::Host`]).
#[derive(Clone, Debug)]
pub(super) struct NameSet {
    keys: KeySet,
}

/// The entry that matches a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameMatch<'a> {
    Exact,
    /// This suffix: the name is equal to it or a subdomain of it.
    Suffix(&'a str),
}

/// Collects the entries of a [`NameSet`], in any order, duplicates included.
#[derive(Debug, Default)]
pub(super) struct NameSetBuilder {
    keys: KeySetBuilder,
}

impl NameSet {
    /// The broadest entry that contains a name: its shortest suffix, or else the name itself.
    pub(super) fn find<'a>(&self, name: &'a str) -> Option<NameMatch<'a>> {
        let mut place = self.keys.start();
        for (at, byte) in name.bytes().enumerate().rev() {
            place = place.step(byte)?;
            let label_starts = at == 0 || name.as_bytes()[at - 1] == b'.';
            if label_starts && place.ends_with(BELOW) {
                return Some(NameMatch::Suffix(&name[at..]));
            }
        }
        place.is_key().then_some(NameMatch::Exact)
    }

    /// Visits all entries: `=` and a name, or `*` and a suffix.
    pub(super) fn for_each(&self, mut show: impl FnMut(char, &str)) {
        self.keys.for_each(|key| {
            let backwards = key.strip_suffix(&[BELOW]);
            let mark = if backwards.is_some() { '*' } else { '=' };
            let name = backwards.unwrap_or(key).iter().rev().map(|b| char::from(*b));
            show(mark, &name.collect::<String>());
        });
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Its memory use in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes()
    }
}

impl NameMatch<'_> {
    /// The entry that matches `name`, in list notation.
    pub(super) fn spell(self, name: &str) -> String {
        match self {
            Self::Exact => name.to_owned(),
            Self::Suffix(suffix) => format!("*.{suffix}"),
        }
    }
}

impl NameSetBuilder {
    /// Adds a name without its subdomains.
    pub(super) fn exact(&mut self, name: &str) {
        self.keys.push(name.bytes().rev());
    }

    /// Adds a name and its subdomains.
    pub(super) fn suffix(&mut self, name: &str) {
        self.keys.push(name.bytes().rev().chain([BELOW]));
    }

    pub(super) fn build(self) -> Result<NameSet, fst::Error> {
        Ok(NameSet { keys: self.keys.build()? })
    }
}

/// Whether a name in its normal spelling has only the characters of host names. A client may request any other
/// name; an entry with other characters is in another notation (`a.example,b.example`, `DOMAIN,a.example`) and
/// would match nothing.
pub(super) fn is_host_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The end of a suffix's key, which is unambiguous since no name starts with a dot.
const BELOW: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broadest_entry_is_found_at_label_boundaries() {
        let mut builder = NameSetBuilder::default();
        for name in ["a.example", "b.a.example", "a.example", "xample"] {
            builder.exact(name);
        }
        for suffix in ["corp.example", "b.corp.example", "test"] {
            builder.suffix(suffix);
        }
        let set = builder.build().expect("a set");
        assert_eq!(set.len(), 6);
        for (name, found) in [
            ("a.example", Some(NameMatch::Exact)),
            ("b.a.example", Some(NameMatch::Exact)),
            ("c.a.example", None),
            ("example", None),
            ("e", None),
            ("test", Some(NameMatch::Suffix("test"))),
            ("a.test", Some(NameMatch::Suffix("test"))),
            ("atest", None),
            ("corp.example", Some(NameMatch::Suffix("corp.example"))),
            ("c.b.corp.example", Some(NameMatch::Suffix("corp.example"))),
            ("acorp.example", None),
        ] {
            assert_eq!(set.find(name), found, "{name}");
        }
    }
}
