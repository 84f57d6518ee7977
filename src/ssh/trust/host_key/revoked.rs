//! Files of revoked keys (`RevokedHostKeys`).

use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PublicKey};

use super::krl::{self, InvalidList};
use crate::file::{self, Besides};
use crate::printable;
use crate::ssh::trust::MAX_FILE;
use crate::ssh::trust::known_hosts::Place;

/// Why such a file cannot be used; no key is accepted then, as in `ssh`.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RevocationError {
    #[error("{} of RevokedHostKeys cannot be read: {cause}", file.display())]
    Read { file: PathBuf, cause: io::Error },
    #[error("line {line} of {}, a file of RevokedHostKeys, is not a public key", file.display())]
    Line { file: PathBuf, line: usize },
    /// It is a binary list of `ssh-keygen -k`, and invalid.
    #[error("the revocation list {} of RevokedHostKeys cannot be read: {why}", file.display())]
    List { file: PathBuf, why: InvalidList },
}

/// Finds what revokes the key, its certificate or the authority of that: the file, and the line if the file has
/// lines; escaped.
///
/// # Errors
///
/// A file cannot be used, unless an earlier one revokes the key.
pub(super) fn find(
    files: &[PathBuf],
    key: &PublicKey,
    certificate: Option<&Certificate>,
) -> Result<Option<String>, RevocationError> {
    let keys: Vec<_> =
        [key.key_data()].into_iter().chain(certificate.map(Certificate::signature_key)).collect();
    for file in files {
        let content = file::read(file, MAX_FILE, Besides::Devices)
            .map_err(|cause| RevocationError::Read { file: file.clone(), cause })?;
        if krl::is_list(&content) {
            let list = |why| RevocationError::List { file: file.clone(), why };
            if krl::revokes(&content, key, certificate).map_err(list)? {
                return Ok(Some(printable::path(file)));
            }
        } else if let Some(line) = find_line(file, &content, &keys)? {
            return Ok(Some(Place { file: file.as_path().into(), line }.to_string()));
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
