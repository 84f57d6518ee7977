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

/// The entries of a list file, ready for look-ups. One entry per line:
///
/// - a name: only this name;
/// - `*.suffix`, `+.suffix` or `.suffix`: that name and its subdomains, like `domain_suffix`;
/// - an address, or a prefix such as `10.0.0.0/8`;
/// - a line of a hosts file, `0.0.0.0 name name`: these names, except those of the machine itself (`localhost`
///   and the like);
/// - `||name^`, in ad blocker syntax: that name and its subdomains. Rules for pages and exceptions (`@@`) are
///   not entries.
///
/// A `#` or `;` anywhere in a line starts a comment; a `!` or `[Adblock` at its start makes the line one.
#[derive(Debug)]
pub struct List {
    name: Arc<str>,
    names: NameSet,
    addresses: AddressSet,
}

/// Receives the progress of reading lists.
pub trait Progress {
    /// Reading a list starts. `bytes` is its size, if known.
    fn start(&mut self, list: &str, bytes: Option<u64>);

    /// Another `bytes` bytes have been read.
    fn advance(&mut self, bytes: u64);
}

/// No progress is reported.
impl Progress for () {
    fn start(&mut self, _: &str, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
}

impl List {
    /// Reads a list from its file, in chunks. `name` is its name in explanations. A million names take about 30
    /// MB during reading, and less afterwards.
    ///
    /// Lines that are not entries are skipped, and returned beside the list.
    ///
    /// # Errors
    /// The file cannot be read, is not a regular file, or is longer than 512 MiB.
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
        // The file may be growing.
        Self::read(file.take(MAX_SIZE), name, progress)
    }

    /// Reads a list from any source, like [`List::load`]. The caller reports the start to `progress`.
    ///
    /// # Errors
    /// Reading failed midway.
    pub fn read(
        from: impl Read,
        name: &str,
        progress: &mut dyn Progress,
    ) -> Result<(Self, Mistakes), ListError> {
        let (names, addresses, mistakes) = reader::read(from, progress)?;
        Ok((Self { name: name.into(), names, addresses }, mistakes))
    }

    /// Its name in explanations.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of distinct entries.
    pub fn len(&self) -> usize {
        self.names.len() + self.addresses.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory use of its entries, in bytes.
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

/// The maximum size of a list in bytes, enough for twenty million names.
const MAX_SIZE: u64 = 512 << 20;
