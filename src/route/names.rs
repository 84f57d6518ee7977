//! A set of names and suffixes, for a handful and for millions.
//!
//! The keys are the names spelled backwards, so that a suffix is a prefix: one walk over the name's
//! bytes finds the name itself and every suffix of it.

use super::keys::{KeySet, KeySetBuilder};

/// Names in their normal spelling (see [`crate::destination::Host`]).
#[derive(Clone, Debug)]
pub(super) struct NameSet {
    keys: KeySet,
}

/// Which entry a name was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameMatch<'a> {
    /// The name itself.
    Exact,
    /// This suffix: the name is it, or lies below it.
    Suffix(&'a str),
}

/// Collects the entries of a [`NameSet`], in any order and as often as they come.
#[derive(Debug, Default)]
pub(super) struct NameSetBuilder {
    keys: KeySetBuilder,
}

impl NameSet {
    /// The broadest entry that holds a name: its shortest suffix, or else the name itself.
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

    /// Shows all entries: `=` and a name, or `*` and a suffix.
    pub(super) fn for_each(&self, mut show: impl FnMut(char, &str)) {
        self.keys.for_each(|key| {
            let backwards = key.strip_suffix(&[BELOW]);
            let mark = if backwards.is_some() { '*' } else { '=' };
            let name = backwards.unwrap_or(key).iter().rev().map(|b| char::from(*b));
            show(mark, &name.collect::<String>());
        });
    }

    /// How many different entries it has.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The memory it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes()
    }
}

impl NameMatch<'_> {
    /// The entry by which `name` was found, as a list spells it.
    pub(super) fn spell(self, name: &str) -> String {
        match self {
            Self::Exact => name.to_owned(),
            Self::Suffix(suffix) => format!("*.{suffix}"),
        }
    }
}

impl NameSetBuilder {
    /// Adds one name, not what lies below it.
    pub(super) fn exact(&mut self, name: &str) {
        self.keys.push(name.bytes().rev());
    }

    /// Adds a name and all that lies below it.
    pub(super) fn suffix(&mut self, name: &str) {
        self.keys.push(name.bytes().rev().chain([BELOW]));
    }

    /// Puts the set together.
    pub(super) fn build(self) -> Result<NameSet, fst::Error> {
        Ok(NameSet { keys: self.keys.build()? })
    }
}

/// Ends the key of a suffix. No name starts with a dot, so it says nothing else there.
const BELOW: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broadest_entry_is_found_at_the_border_of_a_label() {
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
