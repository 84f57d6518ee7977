//! Lists: files of names and addresses, up to millions of them.

mod error;
mod reader;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use super::addresses::AddressSet;
use super::names::{NameMatch, NameSet};
use crate::file::{self, Besides};

pub use error::{InvalidEntry, ListError, Mistake, Mistakes};

/// What stands in one list file, ready to be looked up. One entry a line:
///
/// - a name: this name only;
/// - `*.suffix` or `.suffix`: that name and all below it, as `domain_suffix` means it;
/// - an address, or a prefix of addresses as `10.0.0.0/8`;
/// - a line of a hosts file, `0.0.0.0 name name`: these names. What every hosts file says of its own
///   machine (`localhost` and the like) is no entry;
/// - `||name^`, as ad blockers write it: that name and all below it. What such a rule says of pages,
///   or an exception (`@@`), cannot be meant here and is no entry.
///
/// A `#` or a `;` starts a comment, anywhere in a line; a `!`, or `[Adblock`, one that is the whole line.
#[derive(Debug)]
pub struct List {
    name: Arc<str>,
    names: NameSet,
    addresses: AddressSet,
}

/// Hears how far the reading of a list is.
pub trait Progress {
    /// A list of this name is read from now on; its size in bytes, where it is known.
    fn start(&mut self, list: &str, bytes: Option<u64>);

    /// So many bytes more have been read.
    fn advance(&mut self, bytes: u64);
}

/// For those who do not want to hear.
impl Progress for () {
    fn start(&mut self, _: &str, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
}

impl List {
    /// Reads a list from its file, in pieces. `name` is what explanations call it by. While a million
    /// names are read, they take about 30 MB; less afterwards.
    ///
    /// Beside it come the lines that are no entries; they are left out.
    ///
    /// # Errors
    /// The file cannot be read, or is none that can be a list: a regular one of 512 MiB at the most.
    pub fn load(
        path: &Path,
        name: &str,
        progress: &mut dyn Progress,
    ) -> Result<(Self, Mistakes), ListError> {
        let file = file::open(path, Besides::Nothing).map_err(ListError::Open)?;
        let size = file.metadata().map_err(ListError::Open)?.len();
        if size > MAX_SIZE {
            return Err(ListError::Open(file::too_large(MAX_SIZE)));
        }
        progress.start(name, Some(size));
        // It may grow meanwhile.
        Self::read(file.take(MAX_SIZE), name, progress)
    }

    /// Reads a list from anywhere, as [`List::load`]. The caller has told `progress` of its start.
    ///
    /// # Errors
    /// Reading broke off.
    pub fn read(
        from: impl Read,
        name: &str,
        progress: &mut dyn Progress,
    ) -> Result<(Self, Mistakes), ListError> {
        let (names, addresses, mistakes) = reader::read(from, progress)?;
        Ok((Self { name: name.into(), names, addresses }, mistakes))
    }

    /// What explanations call it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many different entries it has.
    pub fn len(&self) -> usize {
        self.names.len() + self.addresses.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that its entries take, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.names.heap_bytes() + self.addresses.heap_bytes()
    }

    pub(super) fn sets(&self) -> (&NameSet, &AddressSet) {
        (&self.names, &self.addresses)
    }

    pub(super) fn has_names(&self) -> bool {
        self.names.len() > 0
    }

    pub(super) fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }

    pub(super) fn find_name<'a>(&self, name: &'a str) -> Option<NameMatch<'a>> {
        self.names.find(name)
    }

    pub(super) fn find_address(&self, address: IpAddr) -> Option<IpNet> {
        self.addresses.find(address)
    }
}

/// More than that is no list, in bytes: twenty million names.
const MAX_SIZE: u64 = 512 << 20;
