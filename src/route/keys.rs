//! Sets of short keys that are walked byte by byte, for names and addresses.

use fst::raw::{Fst, Node};
use fst::{Set, Streamer};

/// An ordered set of byte strings.
#[derive(Clone, Debug)]
pub(super) enum KeySet {
    /// At most [`FEW`] keys in order, as in most rules.
    Few(Box<[Box<[u8]>]>),
    /// Keys in one block of memory, at a few bytes each.
    Many(Set<Box<[u8]>>),
}

/// A position in a walk along the keys of a set: some key begins with the bytes so far.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The keys with this beginning, and its length in bytes.
    Few(&'a [Box<[u8]>], usize),
    Many(&'a Fst<Box<[u8]>>, Node<'a>),
}

/// Collects keys, in any order, duplicates included.
#[derive(Debug, Default)]
pub(super) struct KeySetBuilder {
    /// The keys, each prefixed with a byte for its length.
    bytes: Vec<u8>,
    keys: Vec<usize>,
}

impl KeySet {
    /// The position before the first byte.
    pub(super) fn start(&self) -> Place<'_> {
        match self {
            Self::Few(keys) => Place::Few(keys, 0),
            Self::Many(set) => Place::Many(set.as_fst(), set.as_fst().root()),
        }
    }

    pub(super) fn for_each(&self, mut show: impl FnMut(&[u8])) {
        match self {
            Self::Few(keys) => keys.iter().for_each(|key| show(key)),
            Self::Many(set) => {
                let mut keys = set.stream();
                while let Some(key) = keys.next() {
                    show(key);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(keys) => keys.len(),
            Self::Many(set) => set.len(),
        }
    }

    /// Its memory use in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(keys) => keys.iter().map(|key| size_of_val(key) + key.len()).sum(),
            Self::Many(set) => set.as_fst().size(),
        }
    }
}

impl Place<'_> {
    /// The position one byte further; none if no key continues with that byte.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        match self {
            Self::Few(keys, depth) => {
                let from = keys.partition_point(|key| key.get(depth) < Some(&byte));
                let keys = &keys[from..];
                let to = keys.partition_point(|key| key.get(depth) == Some(&byte));
                (to > 0).then(|| Self::Few(&keys[..to], depth + 1))
            }
            Self::Many(fst, node) => {
                let transition = node.find_input(byte)?;
                Some(Self::Many(fst, fst.node(node.transition_addr(transition))))
            }
        }
    }

    pub(super) fn is_key(self) -> bool {
        match self {
            Self::Few(keys, depth) => keys.first().is_some_and(|key| key.len() == depth),
            Self::Many(_, node) => node.is_final(),
        }
    }

    /// Whether a key continues with this byte or a higher one.
    pub(super) fn reaches(self, byte: u8) -> bool {
        match self {
            Self::Few(keys, depth) => keys.last().is_some_and(|key| key.get(depth) >= Some(&byte)),
            Self::Many(_, node) => {
                node.len().checked_sub(1).is_some_and(|last| node.transition(last).inp >= byte)
            }
        }
    }

    /// Whether this byte completes a key.
    pub(super) fn ends_with(self, byte: u8) -> bool {
        self.step(byte).is_some_and(Self::is_key)
    }
}

impl KeySetBuilder {
    /// Adds a key of at most 255 bytes.
    pub(super) fn push(&mut self, key: impl Iterator<Item = u8>) {
        let start = self.bytes.len();
        self.bytes.push(0);
        self.bytes.extend(key);
        let length = self.bytes.len() - start - 1;
        self.bytes[start] = u8::try_from(length).expect("names and addresses are short");
        self.keys.push(start);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn build(self) -> Result<KeySet, fst::Error> {
        let Self { bytes, mut keys } = self;
        let key = |at: usize| &bytes[at + 1..][..usize::from(bytes[at])];
        keys.sort_unstable_by(|a, b| key(*a).cmp(key(*b)));
        keys.dedup_by(|a, b| key(*a) == key(*b));
        // The builder of a large set costs a megabyte and some time.
        if keys.len() <= FEW {
            return Ok(KeySet::Few(keys.into_iter().map(|at| key(at).into()).collect()));
        }
        many(keys.into_iter().map(key))
    }
}

/// Packs keys that are sorted and unique.
fn many<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Result<KeySet, fst::Error> {
    let mut builder = fst::SetBuilder::memory();
    for key in keys {
        builder.insert(key)?;
    }
    Ok(KeySet::Many(builder.into_set().map_data(Vec::into_boxed_slice)?))
}

/// The maximum size of a set whose keys are kept separately.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_representations_are_walked_alike(
            keys in prop::collection::btree_set("[a-c]{0,4}", 0..FEW), walk in "[a-d]{0,5}", byte in b'a'..b'e',
        ) {
            let mut builder = KeySetBuilder::default();
            keys.iter().rev().for_each(|key| builder.push(key.bytes()));
            let few = builder.build().expect("few");
            prop_assert!(matches!(few, KeySet::Few(_)));
            let many = many(keys.iter().map(String::as_bytes)).expect("packed");
            prop_assert_eq!(few.len(), many.len());
            let (mut one, mut other) = (few.start(), many.start());
            for step in walk.bytes() {
                prop_assert_eq!(one.is_key(), other.is_key());
                prop_assert_eq!(one.reaches(byte), other.reaches(byte));
                prop_assert_eq!(one.ends_with(byte), other.ends_with(byte));
                let (Some(next), Some(other_next)) = (one.step(step), other.step(step)) else {
                    prop_assert_eq!(one.step(step).is_some(), other.step(step).is_some());
                    break;
                };
                (one, other) = (next, other_next);
            }
        }
    }
}
