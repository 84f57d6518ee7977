//! A private key in a file: whether it may be used, and what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use zeroize::Zeroizing;

/// What a file of `IdentityFile` has.
#[derive(Debug)]
pub(super) struct KeyFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The public key, where it can be known without the passphrase.
    pub(super) public: Option<PublicKey>,
    /// The private key.
    pub(super) secret: Secret,
}

/// The private half of a file.
pub(super) enum Secret {
    /// Ready for use.
    Clear(Arc<PrivateKey>),
    /// Behind a passphrase; this is the file's text.
    Locked(Zeroizing<String>),
    /// The file does not exist. The agent may still have the key.
    Missing,
    /// It cannot or must not be used, for this reason.
    Unusable(String),
}

/// Why a text is not a private key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyProblem {
    /// It has a passphrase, and none or a wrong one was given.
    Locked,
    /// It is no private key, or one of a kind that is not known.
    Unreadable(String),
}

/// Reads a key and its public half. It blocks for the file system.
pub(super) fn load(path: &Path) -> KeyFile {
    let (secret, inside) = match read_private(path) {
        Ok(text) => match decode(&text, None) {
            Ok(key) => {
                let public = key.public_key().clone();
                (Secret::Clear(Arc::new(key)), Some(public))
            }
            Err(KeyProblem::Locked) => {
                // OpenSSH's own format has the public key outside of what is encrypted.
                let outside = PrivateKey::from_openssh(&*text).ok();
                (Secret::Locked(text), outside.map(|key| key.public_key().clone()))
            }
            Err(KeyProblem::Unreadable(why)) => match parse_public(&text) {
                // `IdentityFile key.pub` means: the agent has it.
                Some(public) => (Secret::Missing, Some(public)),
                None => (Secret::Unusable(why), None),
            },
        },
        Err(secret) => (secret, None),
    };
    let public = inside.or_else(|| read_public_beside(path));
    KeyFile { path: path.to_owned(), public, secret }
}

/// Reads a private key's text, in any of the formats of OpenSSH, PEM, PKCS#8 and `PuTTY`.
pub(super) fn decode(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyProblem> {
    let unreadable = |error: &dyn std::fmt::Display| KeyProblem::Unreadable(error.to_string());
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let key = PrivateKey::from_openssh(text.trim()).map_err(|e| unreadable(&e))?;
        return match passphrase {
            _ if !key.is_encrypted() => Ok(key),
            Some(passphrase) => key.decrypt(passphrase).map_err(|_| KeyProblem::Locked),
            None => Err(KeyProblem::Locked),
        };
    }
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED", "Encryption: aes"]
        .iter()
        .any(|mark| text.contains(mark));
    match (encrypted, passphrase) {
        (true, None) => Err(KeyProblem::Locked),
        (true, Some(_)) => decode_secret_key(text, passphrase).map_err(|_| KeyProblem::Locked),
        (false, _) => decode_secret_key(text, None).map_err(|e| unreadable(&e)),
    }
}

/// The text of a private key that nobody else may read, as OpenSSH demands of its owner's files.
fn read_private(path: &Path) -> Result<Zeroizing<String>, Secret> {
    let unusable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Secret::Missing,
        _ => Secret::Unusable(format!("cannot be read: {error}")),
    };
    let file = File::open(path).map_err(unusable)?;
    let about = file.metadata().map_err(unusable)?;
    if !about.is_file() {
        return Err(Secret::Unusable("is not a file".to_owned()));
    }
    let ours = about.uid() == rustix::process::getuid().as_raw();
    let mut text = Zeroizing::new(String::with_capacity(MAX_SIZE));
    let limit = u64::try_from(MAX_SIZE).expect("64 Ki is a u64");
    file.take(limit).read_to_string(&mut text).map_err(unusable)?;
    // Others may read a public key.
    if ours && about.mode() & 0o077 != 0 && parse_public(&text).is_none() {
        let mode = about.mode() & 0o777;
        return Err(Secret::Unusable(format!(
            "its permissions {mode:04o} are too open: others may read it (chmod 600 mends it)"
        )));
    }
    Ok(text)
}

fn read_public_beside(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let mut text = String::new();
    let limit = u64::try_from(MAX_SIZE).expect("64 Ki is a u64");
    File::open(beside).ok()?.take(limit).read_to_string(&mut text).ok()?;
    parse_public(&text)
}

fn parse_public(text: &str) -> Option<PublicKey> {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
    PublicKey::from_openssh(line).ok()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clear(_) => f.write_str("Clear(…)"),
            Self::Locked(_) => f.write_str("Locked(…)"),
            Self::Missing => f.write_str("Missing"),
            Self::Unusable(why) => f.debug_tuple("Unusable").field(why).finish(),
        }
    }
}

/// Bytes of a key file that are read. The largest RSA keys take 13 KB.
const MAX_SIZE: usize = 64 * 1024;
