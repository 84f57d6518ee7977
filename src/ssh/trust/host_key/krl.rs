//! Key revocation lists in the binary format of `ssh-keygen -k` (OpenSSH's `PROTOCOL.krl`).

use bytes::{Buf as _, TryGetError};
use russh::keys::{Certificate, PublicKey};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// Why a list is invalid. A list that cannot be read completely might revoke anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidList {
    #[error("it is cut off, or malformed")]
    Malformed,
    #[error("its format has version {0}, and 1 is read here")]
    Version(u32),
    #[error("it has a part of an unknown kind ({0})")]
    Unknown(u8),
}

impl From<TryGetError> for InvalidList {
    fn from(_: TryGetError) -> Self {
        Self::Malformed
    }
}

pub(super) fn is_list(content: &[u8]) -> bool {
    content.starts_with(MAGIC)
}

/// Whether the list revokes the key, its certificate, or the authority of that.
pub(super) fn revokes(
    list: &[u8],
    key: &PublicKey,
    certificate: Option<&Certificate>,
) -> Result<bool, InvalidList> {
    let shown = Shown::new(key, certificate).ok_or(InvalidList::Malformed)?;
    let mut rest = list.strip_prefix(MAGIC).ok_or(InvalidList::Malformed)?;
    let version = rest.try_get_u32()?;
    if version != 1 {
        return Err(InvalidList::Version(version));
    }
    // The list's version, date and flags; the reserved field, and the comment.
    rest.split_off(..3 * 8).ok_or(InvalidList::Malformed)?;
    string(&mut rest)?;
    string(&mut rest)?;
    let mut revoked = false;
    while !rest.is_empty() {
        let (kind, section) = (rest.try_get_u8()?, string(&mut rest)?);
        match kind {
            CERTIFICATES => revoked |= revokes_certificate(section, &shown)?,
            EXPLICIT_KEYS => revoked |= any_string(section, |key| shown.has_key(key))?,
            SHA1_FINGERPRINTS => revoked |= any_string(section, |hash| shown.has_sha1(hash))?,
            SHA256_FINGERPRINTS => revoked |= any_string(section, |hash| shown.has_sha256(hash))?,
            // A signature of the list by an unspecified key; what it covers precedes it.
            SIGNATURE => {
                string(&mut rest)?;
            }
            EXTENSION => pass_over(section, kind)?,
            _ => return Err(InvalidList::Unknown(kind)),
        }
    }
    Ok(revoked)
}

/// Evaluates a section about the certificates of one authority, or of all.
fn revokes_certificate(mut section: &[u8], shown: &Shown<'_>) -> Result<bool, InvalidList> {
    let authority = string(&mut section)?;
    string(&mut section)?;
    let certificate = shown.certificate.filter(|_| {
        authority.is_empty() || shown.authority.as_deref().is_some_and(|own| own == authority)
    });
    // An authority that assigns no serial numbers leaves them at 0.
    let serial = certificate.map(Certificate::serial).filter(|serial| *serial != 0);
    let id = certificate.map(Certificate::key_id);
    let mut revoked = false;
    while !section.is_empty() {
        let (kind, mut part) = (section.try_get_u8()?, string(&mut section)?);
        revoked |= match kind {
            SERIALS => any_serial(part, serial)?,
            SERIAL_RANGE => {
                let range = part.try_get_u64()?..=part.try_get_u64()?;
                serial.is_some_and(|serial| range.contains(&serial))
            }
            SERIAL_BITS => {
                let (first, bits) = (part.try_get_u64()?, string(&mut part)?);
                serial.and_then(|serial| serial.checked_sub(first)).is_some_and(|at| bit(bits, at))
            }
            KEY_IDS => any_string(part, |text| id.is_some_and(|id| id.as_bytes() == text))?,
            CERTIFICATE_EXTENSION => {
                pass_over(part, kind)?;
                false
            }
            _ => return Err(InvalidList::Unknown(kind)),
        };
    }
    Ok(revoked)
}

/// Skips an extension, unless it is critical.
fn pass_over(mut extension: &[u8], kind: u8) -> Result<(), InvalidList> {
    string(&mut extension)?;
    if extension.try_get_u8()? != 0 { Err(InvalidList::Unknown(kind)) } else { Ok(()) }
}

/// A bit of a big-endian number, counted from the lowest.
fn bit(number: &[u8], at: u64) -> bool {
    let Ok(at) = usize::try_from(at) else { return false };
    let byte = number.len().checked_sub(1 + at / 8).and_then(|index| number.get(index));
    byte.is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}

/// What a server presented, in the forms that lists use.
struct Shown<'a> {
    /// The key, and the authority's key if there is one.
    keys: Vec<Vec<u8>>,
    authority: Option<Vec<u8>>,
    certificate: Option<&'a Certificate>,
}

impl<'a> Shown<'a> {
    fn new(key: &PublicKey, certificate: Option<&'a Certificate>) -> Option<Self> {
        let authority = certificate.map(|c| PublicKey::from(c.signature_key().clone()).to_bytes());
        let authority = authority.transpose().ok()?;
        let keys = std::iter::once(key.to_bytes().ok()?).chain(authority.clone()).collect();
        Some(Self { keys, authority, certificate })
    }

    fn has_key(&self, blob: &[u8]) -> bool {
        self.keys.iter().any(|key| key == blob)
    }

    fn has_sha1(&self, hash: &[u8]) -> bool {
        self.keys.iter().any(|key| Sha1::digest(key).as_slice() == hash)
    }

    fn has_sha256(&self, hash: &[u8]) -> bool {
        self.keys.iter().any(|key| Sha256::digest(key).as_slice() == hash)
    }
}

/// A string of RFC 4251 section 5, taken from the front of `rest`.
fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], InvalidList> {
    let length = usize::try_from(rest.try_get_u32()?).map_err(|_| InvalidList::Malformed)?;
    rest.split_off(..length).ok_or(InvalidList::Malformed)
}

/// Whether one of the strings matches; all of them are read.
fn any_string(mut list: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> Result<bool, InvalidList> {
    let mut found = false;
    while !list.is_empty() {
        found |= is_meant(string(&mut list)?);
    }
    Ok(found)
}

/// Whether one of the serial numbers matches; all of them are read.
fn any_serial(mut list: &[u8], serial: Option<u64>) -> Result<bool, InvalidList> {
    let mut found = false;
    while !list.is_empty() {
        found |= Some(list.try_get_u64()?) == serial;
    }
    Ok(found)
}

const MAGIC: &[u8] = b"SSHKRL\n\0";
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEYS: u8 = 2;
const SHA1_FINGERPRINTS: u8 = 3;
const SIGNATURE: u8 = 4;
const SHA256_FINGERPRINTS: u8 = 5;
const EXTENSION: u8 = 255;
const SERIALS: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITS: u8 = 0x22;
const KEY_IDS: u8 = 0x23;
const CERTIFICATE_EXTENSION: u8 = 0x39;

#[cfg(test)]
mod tests;
