//! The users of a proxy that requires a password.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::file::{self, Besides};

/// The users of a proxy and their passwords; never printed.
#[derive(PartialEq, Eq)]
pub struct ProxyCredentials {
    users: Vec<User>,
}

/// Why a credentials file cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CredentialsError {
    #[error("cannot read {path}: {cause}")]
    Read { path: PathBuf, cause: io::Error },
    #[error("{path} may be read by others (mode {mode:04o}); set its mode to 0600")]
    Mode { path: PathBuf, mode: u32 },
    #[error("{path} belongs to user id {owner}, neither you nor root")]
    Owner { path: PathBuf, owner: u32 },
    #[error("{path} is longer than 1 MiB")]
    TooLong { path: PathBuf },
    /// A line is not `user:password` with 1 to 255 bytes each; its text is not repeated.
    #[error("{path}, line {line}: not user:password with 1 to 255 bytes each, the user in UTF-8")]
    Line { path: PathBuf, line: usize },
    #[error("{path} names no user")]
    Empty { path: PathBuf },
}

#[derive(PartialEq, Eq)]
struct User {
    name: Arc<str>,
    padded_name: Padded,
    padded_password: Padded,
}

/// A length and a text, padded to 256 bytes: comparing two of them always takes the same time.
type Padded = Zeroizing<[u8; 256]>;

impl ProxyCredentials {
    /// Reads a file of `user:password` lines. Empty lines and lines that begin with `#` are skipped; a password
    /// may contain colons.
    ///
    /// # Errors
    ///
    /// The file cannot be read, anyone but its owner may read or write it, its owner is neither this user nor
    /// root, or a line is invalid.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let file_path = || path.to_path_buf();
        let read_error = |cause| CredentialsError::Read { path: file_path(), cause };
        let file = file::open(path, Besides::Pipes).map_err(read_error)?;
        // The open file is checked instead of the path, so that it is the one that is read.
        let metadata = file.metadata().map_err(read_error)?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Mode { path: file_path(), mode });
        }
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(CredentialsError::Owner { path: file_path(), owner });
        }
        // Allocated once: a growing buffer would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut text).map_err(read_error)?;
        if text.len() > MAX_FILE {
            return Err(CredentialsError::TooLong { path: file_path() });
        }
        Self::parse(&text, path)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, CredentialsError> {
        let mut users = Vec::new();
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let user = User::parse(line).ok_or_else(|| CredentialsError::Line {
                path: path.to_path_buf(),
                line: index + 1,
            })?;
            users.push(user);
        }
        if users.is_empty() {
            return Err(CredentialsError::Empty { path: path.to_path_buf() });
        }
        Ok(Self { users })
    }

    /// The user, if the name and the password match. Takes the same time for a wrong password, an unknown user
    /// and any length.
    pub(crate) fn verify(&self, name: &[u8], password: &[u8]) -> Option<Arc<str>> {
        // Impossible values are compared all the same, as values that nobody can have.
        let name = pad(name).unwrap_or_else(unmatchable);
        let password = pad(password).unwrap_or_else(unmatchable);
        let mut found = Choice::from(0);
        let mut which = 0;
        for (index, user) in (0_u32..).zip(&self.users) {
            let matches = user.padded_name.as_slice().ct_eq(name.as_slice())
                & user.padded_password.as_slice().ct_eq(password.as_slice());
            which.conditional_assign(&index, matches);
            found |= matches;
        }
        bool::from(found).then(|| self.users[which as usize].name.clone())
    }
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCredentials").finish_non_exhaustive()
    }
}

impl User {
    fn parse(line: &[u8]) -> Option<Self> {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, password) = (&line[..colon], &line[colon + 1..]);
        let padded_name = pad(name)?;
        let padded_password = pad(password)?;
        let name = std::str::from_utf8(name).ok()?.into();
        Some(Self { name, padded_name, padded_password })
    }
}

/// Pads 1 to 255 bytes, as RFC 1929 section 2 can carry them.
fn pad(text: &[u8]) -> Option<Padded> {
    let length = u8::try_from(text.len()).ok().filter(|&length| length != 0)?;
    let mut padded = unmatchable();
    padded[0] = length;
    padded[1..=text.len()].copy_from_slice(text);
    Some(padded)
}

/// The empty text, which no user has.
fn unmatchable() -> Padded {
    Zeroizing::new([0; 256])
}

/// The byte order mark that some editors add.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The maximum size of a file in bytes.
const MAX_FILE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn parse(text: &str) -> Result<ProxyCredentials, CredentialsError> {
        ProxyCredentials::parse(text.as_bytes(), Path::new("file"))
    }

    #[test]
    fn only_the_right_pair_is_accepted() {
        let long = "x".repeat(255);
        let text =
            format!("\u{feff}zoe:first\n# people\nada:love:lace\r\n\nbob:builder\neve:{long}");
        let credentials = parse(&text).expect("a good file");
        let verify = |name: &str, password: &str| {
            credentials.verify(name.as_bytes(), password.as_bytes()).map(|user| user.to_string())
        };
        assert_eq!(verify("ada", "love:lace").as_deref(), Some("ada"));
        assert_eq!(verify("zoe", "first").as_deref(), Some("zoe"));
        assert_eq!(verify("bob", "builder").as_deref(), Some("bob"));
        assert_eq!(verify("eve", &long).as_deref(), Some("eve"));
        let too_long = "x".repeat(256);
        for (name, password) in [
            ("ada", "builder"),
            ("ada", "love"),
            ("ada", "love:lace\0"),
            ("ad", "love:lace"),
            ("mallory", "builder"),
            ("eve", &long[1..]),
            ("eve", &too_long),
            ("", ""),
            ("ada", ""),
            ("", "builder"),
        ] {
            assert_eq!(verify(name, password), None, "{name}:{password}");
        }
    }

    #[test]
    fn an_invalid_line_is_numbered_but_not_shown() {
        let long = "x".repeat(256);
        for line in ["secret", ":secret", "secret:", &format!("ada:{long}"), &format!("{long}:a")] {
            let error = parse(&format!("ada:x\n{line}\n")).expect_err(line);
            assert!(matches!(error, CredentialsError::Line { line: 2, .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        assert!(matches!(parse("# nobody\n"), Err(CredentialsError::Empty { .. })));
    }

    #[test]
    fn the_file_must_be_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users");
        fs::write(&path, "ada:secret\n").expect("written");
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
            let error = ProxyCredentials::read(&path).expect_err("not private");
            assert!(matches!(error, CredentialsError::Mode { mode: m, .. } if m == mode));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
        let credentials = ProxyCredentials::read(&path).expect("private now");
        assert!(credentials.verify(b"ada", b"secret").is_some());
        assert_eq!(format!("{credentials:?}"), "ProxyCredentials { .. }");
    }
}
