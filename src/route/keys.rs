//! Sets of short keys that are walked byte by byte. Names and addresses are stored in them.

use fst::raw::{Fst, Node};
use fst::{Set, Streamer};

/// An ordered set of byte strings in one block of memory, a few bytes an entry.
#[derive(Clone, Debug)]
pub(super) struct KeySet {
    set: Set<Box<[u8]>>,
}

/// A position in a walk along the keys of a set: the bytes so far begin some key.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    fst: &'a Fst<Box<[u8]>>,
    node: Node<'a>,
}

/// Collects keys, in any order, duplicates included.
#[derive(Debug, Default)]
pub(super) struct KeySetBuilder {
    /// The keys, each after a byte with its length.
    bytes: Vec<u8>,
    keys: Vec<usize>,
}

impl KeySet {
    /// Before the first byte.
    pub(super) fn start(&self) -> Place<'_> {
        let fst = self.set.as_fst();
        Place { fst, node: fst.root() }
    }

    pub(super) fn for_each(&self, mut show: impl FnMut(&[u8])) {
        let mut keys = self.set.stream();
        while let Some(key) = keys.next() {
            show(key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// Its memory use in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.set.as_fst().size()
    }
}

impl Place<'_> {
    /// The position one byte further; none where no key continues with that byte.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let transition = self.node.find_input(byte)?;
        Some(Self { node: self.fst.node(self.node.transition_addr(transition)), ..self })
    }

    pub(super) fn is_key(self) -> bool {
        self.node.is_final()
    }

    /// Whether a key continues with this byte or a higher one.
    pub(super) fn reaches(self, byte: u8) -> bool {
        self.node.len().checked_sub(1).is_some_and(|last| self.node.transition(last).inp >= byte)
    }

    /// Whether a key ends after this one more byte.
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
        let mut builder = fst::SetBuilder::memory();
        for at in keys {
            builder.insert(key(at))?;
        }
        let set = builder.into_set().map_data(Vec::into_boxed_slice)?;
        Ok(KeySet { set })
    }
}
