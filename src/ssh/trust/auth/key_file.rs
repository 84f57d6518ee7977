//! A private key in a file: whether it may be used, and its contents.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use zeroize::Zeroizing;

use super::legacy_pem;
use super::offer::Offer;
use crate::file::{self, Besides};
use crate::openssh::client_config::IdentityOrigin;

/// The contents of an `IdentityFile`.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) origin: IdentityOrigin,
    /// The public key, if it can be determined without the passphrase; a certificate if the file itself is one.
    pub(super) public: Option<Offer>,
    /// The certificate in its `.pub` file, if that contains one instead of the public key.
    pub(super) in_public: Option<Offer>,
    /// The certificate beside it (`-cert.pub`).
    pub(super) certificate: Option<Offer>,
    pub(super) secret: Secret,
}

/// The private key of a file.
#[derive(Clone)]
pub(super) enum Secret {
    /// Decrypted and ready for use.
    Clear(Arc<PrivateKey>),
    /// Encrypted with a passphrase; the text of the file.
    Locked(Arc<Zeroizing<String>>),
    /// The file does not exist. The agent may still have the key.
    Missing,
    /// It cannot or must not be used; the reason.
    Unusable(String),
}

/// Why a text is not a usable private key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyProblem {
    /// It is encrypted, and the passphrase is missing or wrong.
    Locked,
    /// It is no private key, or one of an unknown kind.
    Unreadable(String),
}

/// Loads a key, its public key and the certificate beside it. Blocking.
pub(super) fn load(path: &Path, origin: IdentityOrigin) -> KeyFile {
    let (secret, inside) = match read_private(path) {
        Ok(text) => match decode(&text, None) {
            Ok(key) => {
                let public = key.public_key().clone();
                (Secret::Clear(Arc::new(key)), Some(Offer::Key(public)))
            }
            Err(KeyProblem::Locked) => {
                let outside = public_outside(&text).map(Offer::Key);
                (Secret::Locked(Arc::new(text)), outside)
            }
            Err(KeyProblem::Unreadable(why)) => match Offer::parse(&text) {
                // `IdentityFile key.pub` means that the agent holds the key.
                Some(public) => (Secret::Missing, Some(public)),
                None => (Secret::Unusable(why), None),
            },
        },
        Err(secret) => (secret, None),
    };
    let beside = load_public(&with_suffix(path, ".pub")).ok();
    let in_public = match (&inside, &beside) {
        (Some(key), Some(other)) if other.is_user_certificate() && other.key() == key.key() => {
            beside.clone()
        }
        _ => None,
    };
    let public = inside.or(beside);
    let certificate = load_public(&with_suffix(path, "-cert.pub")).ok();
    let certificate = certificate.filter(Offer::is_user_certificate);
    KeyFile { path: path.to_owned(), origin, public, in_public, certificate, secret }
}

/// Loads a `.pub` file. Blocking.
///
/// # Errors
///
/// The problem with the file.
pub(super) fn load_public(path: &Path) -> Result<Offer, String> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "it does not exist".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let file = file::open(path, Besides::Nothing).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(MAX_SIZE as u64).read_to_end(&mut text).map_err(unreadable)?;
    // A comment may be in any encoding.
    Offer::parse(&String::from_utf8_lossy(&text))
        .ok_or_else(|| "it has no public key or certificate in it".to_owned())
}

/// Decodes the text of a private key in any of the formats of OpenSSH, PEM, PKCS#8 and `PuTTY`.
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
    if let Some(sealed) = legacy_pem::Sealed::find(text) {
        // Unusable files are reported before anybody is asked for a passphrase.
        let sealed = sealed.map_err(|e| unreadable(&e))?;
        let clear = passphrase.and_then(|passphrase| sealed.open(passphrase));
        let clear = clear.ok_or(KeyProblem::Locked)?;
        // A wrong passphrase may decrypt to garbage by chance.
        return decode_secret_key(&clear, None).map_err(|_| KeyProblem::Locked);
    }
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Encryption: aes"];
    match (encrypted.iter().any(|mark| text.contains(mark)), passphrase) {
        (true, None) if has_unknown_encryption(text) => {
            Err(KeyProblem::Unreadable(UNKNOWN_ENCRYPTION.to_owned()))
        }
        (true, None) => Err(KeyProblem::Locked),
        (true, Some(_)) => decode_secret_key(text, passphrase).map_err(|error| match error {
            // A wrong passphrase may decrypt to an unknown type by chance.
            russh::keys::Error::UnknownAlgorithm(_) => unreadable(&error),
            _ => KeyProblem::Locked,
        }),
        (false, _) => decode_secret_key(text, None).map_err(|e| unreadable(&e)),
    }
}

/// Whether no passphrase can decrypt a PKCS#8 file here: OpenSSL's `-v1` encryption, or a rare cipher.
fn has_unknown_encryption(text: &str) -> bool {
    let Ok((label, document)) = SecretDocument::from_pem(text) else { return false };
    if label != "ENCRYPTED PRIVATE KEY" {
        return false;
    }
    let scheme = document.decode_msg::<EncryptedPrivateKeyInfoRef<'_>>();
    !scheme.is_ok_and(|key| matches!(key.encryption_algorithm, EncryptionScheme::Pbes2(_)))
}

/// The public key of an encrypted key, which OpenSSH's own format stores unencrypted.
fn public_outside(text: &str) -> Option<PublicKey> {
    PrivateKey::from_openssh(text.trim()).ok().map(|key| key.public_key().clone())
}

/// The text of a private key that nobody else can read, as OpenSSH requires of the user's own files.
fn read_private(path: &Path) -> Result<Zeroizing<String>, Secret> {
    let unusable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Secret::Missing,
        _ => Secret::Unusable(format!("it cannot be read: {error}")),
    };
    let file = file::open(path, Besides::Nothing).map_err(unusable)?;
    let about = file.metadata().map_err(unusable)?;
    let ours = about.uid() == rustix::process::getuid().as_raw();
    // The buffer never grows, so that no copy of a secret is left behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SIZE));
    file.take(MAX_SIZE as u64).read_to_string(&mut text).map_err(unusable)?;
    // A public key may be readable by others.
    if ours && about.mode() & 0o077 != 0 && Offer::parse(&text).is_none() {
        let mode = about.mode() & 0o777;
        return Err(Secret::Unusable(format!(
            "its permissions {mode:04o} are too open: others may read it (chmod 600 fixes it)"
        )));
    }
    Ok(text)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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

const UNKNOWN_ENCRYPTION: &str =
    "its encryption is not available here; ssh-keygen -p -f on it writes another";

/// The maximum length of a key file in bytes. The largest RSA keys take 13 KB.
const MAX_SIZE: usize = 64 * 1024;
