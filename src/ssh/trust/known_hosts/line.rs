//! A line of a `known_hosts` file.

use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::{Place, RecordedKey, pattern};
use crate::ssh::trust::MIN_RSA;

/// A valid line.
#[derive(Debug)]
pub(super) struct Line {
    place: Place,
    entry: Entry,
}

impl Line {
    /// Parses a line; `None` for an empty one and for a comment. Only the part after the key may be other than
    /// UTF-8. An invalid line does not count.
    pub(super) fn read(place: Place, bytes: &[u8]) -> Option<Result<Self, Place>> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        Some(match entry(text) {
            Some(entry) => Ok(Self { place, entry }),
            None => Err(place),
        })
    }

    /// `@cert-authority` or `@revoked`.
    pub(super) fn marker(&self) -> Option<Marker> {
        self.entry.marker().copied()
    }

    pub(super) fn key(&self) -> &PublicKey {
        self.entry.public_key()
    }

    /// Whether its names match `name`, which is in lower case.
    pub(super) fn matches_name(&self, name: &str) -> bool {
        pattern::matches(self.entry.host_patterns(), name)
    }

    /// Whether a person wrote its names: patterns, or more than the name and perhaps an address that programs
    /// write.
    pub(super) fn is_hand_written(&self) -> bool {
        match self.entry.host_patterns() {
            HostPatterns::HashedName { .. } => false,
            HostPatterns::Patterns(names) => {
                names.len() > 2 || names.iter().any(|name| name.contains(['*', '?']))
            }
        }
    }

    /// Its position.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The key and its position.
    pub(super) fn recorded(&self) -> RecordedKey {
        let key = self.key();
        RecordedKey {
            place: self.place(),
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

/// Normalizes the fields: OpenSSH separates them by any run of spaces and tabs, the crate by one space.
///
/// A key that OpenSSH does not accept (of an unknown type, or RSA with less than 1024 bits) makes the line
/// invalid, as in OpenSSH: it must not count as recorded.
fn entry(text: &str) -> Option<Entry> {
    // Only a comment follows the key.
    let fields = if text.starts_with('@') { 4 } else { 3 };
    let words: Vec<_> = text.split([' ', '\t']).filter(|w| !w.is_empty()).take(fields).collect();
    let entry: Entry = words.join(" ").parse().ok()?;
    let key = entry.public_key();
    let unknown = matches!(key.algorithm(), Algorithm::Other(_));
    let short = key.key_data().rsa().is_some_and(|rsa| rsa.key_size() < MIN_RSA);
    (!unknown && !short).then_some(entry)
}
