//! Unguessable texts: generated here, or kept in a file that only its owner can read.

use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::file::{self, Besides};

/// An unguessable text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Why a file with a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read it: {0}")]
    Read(io::Error),
    #[error("others may read it (mode {0:04o}); set its mode to 0600")]
    Mode(u32),
    #[error("it belongs to user id {0}, neither you nor root")]
    Owner(u32),
    /// It contains something else, which is not repeated here.
    #[error("it holds no token: one line of 32 to 256 letters, digits, - and _")]
    Text,
}

impl Secret {
    /// 256 random bits, as text.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        HEXLOWER.encode_append(&*bytes, &mut text);
        Ok(Self(text))
    }

    /// Reads the token in a file that only its owner can read.
    ///
    /// # Errors
    ///
    /// It cannot be read, others may read it, or it contains no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let file = file::open(path, Besides::Pipes).map_err(TokenError::Read)?;
        let metadata = file.metadata().map_err(TokenError::Read)?;
        let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
        if mode & 0o077 != 0 {
            return Err(TokenError::Mode(mode));
        }
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(TokenError::Owner(owner));
        }
        let mut text = Zeroizing::new(String::with_capacity(LONGEST + 2));
        let most = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
        file.take(most).read_to_string(&mut text).map_err(TokenError::Read)?;
        let token = text.trim_ascii_end();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(SHORTEST..=LONGEST).contains(&token.len()) || !token.bytes().all(plain) {
            return Err(TokenError::Text);
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it equals `text`. The time of the comparison reveals only the length.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(text).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The minimum length of a token in a file, in characters.
const SHORTEST: usize = 32;
/// The maximum length.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_file_must_be_private_and_hold_a_long_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let token = "a-Z_09".repeat(6);
        let write = |text: &str, mode| {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
            Secret::read(&path)
        };
        let read = write(&format!("{token}\n"), 0o600).expect("good");
        assert!(read.is(token.as_bytes()) && !read.is(b""));
        assert!(matches!(write(&token, 0o644), Err(TokenError::Mode(0o644))));
        for text in ["", "short", &"x".repeat(257), &"ä".repeat(40), &format!("{token} {token}")] {
            assert!(matches!(write(text, 0o600), Err(TokenError::Text)), "{text}");
        }
    }
}
