//! Files of keys that no server may show (`RevokedHostKeys`).

use std::io;
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

use crate::file::{self, Besides};

/// Why such a file does not tell. Then no key is taken, as with `ssh`.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// It cannot be read, or is not there.
    #[error("{} of RevokedHostKeys cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it is not a public key.
    #[error("line {line} of {}, a file of RevokedHostKeys, is not a public key", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
    /// It is a list in the binary form of `ssh-keygen -k`.
    #[error(
        "{} of RevokedHostKeys is a key revocation list (KRL), which is not read here; name a file \
         of public keys, one a line, in its place",
        .0.display()
    )]
    BinaryList(PathBuf),
}

/// Finds the first of `keys` in the files: the file and the line, from 1.
///
/// # Errors
///
/// Whatever keeps a file from telling, unless one of the keys stands before that.
pub(super) fn find(
    files: &[PathBuf],
    keys: &[&KeyData],
) -> Result<Option<(PathBuf, usize)>, RevocationError> {
    for file in files {
        let content = file::read(file, MAX_FILE, Besides::Devices)
            .map_err(|source| RevocationError::Read { file: file.clone(), source })?;
        if content.starts_with(KRL_MAGIC) {
            return Err(RevocationError::BinaryList(file.clone()));
        }
        if let Some(line) = find_line(file, &content, keys)? {
            return Ok(Some((file.clone(), line)));
        }
    }
    Ok(None)
}

fn find_line(
    file: &Path,
    content: &[u8],
    keys: &[&KeyData],
) -> Result<Option<usize>, RevocationError> {
    for (i, bytes) in content.split(|b| *b == b'\n').enumerate() {
        let text = String::from_utf8_lossy(bytes);
        let mut words = text.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let Some(algorithm) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let line = || RevocationError::Line { file: file.to_owned(), line: i + 1 };
        let key = PublicKey::from_openssh(&format!("{algorithm} {}", words.next().unwrap_or("")))
            .map_err(|_| line())?;
        if keys.contains(&key.key_data()) {
            return Ok(Some(i + 1));
        }
    }
    Ok(None)
}

/// How a binary list begins (OpenSSH's `PROTOCOL.krl`).
const KRL_MAGIC: &[u8] = b"SSHKRL\n\0";

/// More than that is no list of keys that somebody keeps, in bytes.
const MAX_FILE: u64 = 64 << 20;
