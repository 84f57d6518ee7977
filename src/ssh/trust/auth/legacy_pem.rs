//! The encryption of PEM files from before PKCS#8 (`Proc-Type: 4,ENCRYPTED`), which `ssh-keygen -m PEM` still
//! writes. russh supports it only for RSA keys.

use aes::{Aes128, Aes192, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use data_encoding::HEXLOWER_PERMISSIVE;
use des::TdesEde3;
use zeroize::Zeroizing;

/// An encrypted key as stored in its file.
#[derive(Debug)]
pub(super) struct Sealed {
    label: String,
    cipher: &'static Cipher,
    iv: Vec<u8>,
    data: Vec<u8>,
}

/// Why an encrypted key cannot be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    /// Truncated or invalid headers or base64.
    #[error("the encrypted PEM file is damaged")]
    Damaged,
    /// A cipher that OpenSSH has not written in this century.
    #[error("its cipher is not available here; ssh-keygen -p -f on it writes another")]
    Cipher,
    /// A DSA key, for example.
    #[error("keys of its type are not available here")]
    Type,
}

#[derive(Debug)]
struct Cipher {
    name: &'static str,
    /// The length of a key in bytes.
    key: usize,
    /// The length of a block, and so of an IV, in bytes.
    block: usize,
    decrypt: Decrypt,
}

/// Decrypts data with a key and an IV; returns the data without its padding.
type Decrypt = for<'a> fn(&[u8], &[u8], &'a mut [u8]) -> Option<&'a [u8]>;

impl Sealed {
    /// Parses a text, if it is such a file.
    pub(super) fn find(text: &str) -> Option<Result<Self, SealError>> {
        text.contains("Proc-Type: 4,ENCRYPTED").then(|| Self::parse(text))
    }

    fn parse(text: &str) -> Result<Self, SealError> {
        let mut lines = text.lines().map(str::trim);
        let label = lines
            .find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
            .ok_or(SealError::Damaged)?;
        if !["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"].contains(&label) {
            return Err(SealError::Type);
        }
        let mut how = None;
        let mut data = String::new();
        for line in lines.take_while(|line| !line.starts_with("-----END ")) {
            if let Some(value) = line.strip_prefix("DEK-Info:") {
                how = value.trim().split_once(',');
            } else if !line.contains(':') {
                data.push_str(line);
            }
        }
        let (name, iv) = how.ok_or(SealError::Damaged)?;
        let cipher = CIPHERS.iter().find(|cipher| cipher.name == name.trim());
        let cipher = cipher.ok_or(SealError::Cipher)?;
        let iv = HEXLOWER_PERMISSIVE.decode(iv.trim().as_bytes()).ok();
        let iv = iv.filter(|iv| iv.len() == cipher.block);
        let data = STANDARD.decode(data).map_err(|_| SealError::Damaged)?;
        Ok(Self { label: label.to_owned(), cipher, iv: iv.ok_or(SealError::Damaged)?, data })
    }

    /// The decrypted file; none if the passphrase is wrong.
    pub(super) fn open(&self, passphrase: &str) -> Option<Zeroizing<String>> {
        let key = self.derive(passphrase);
        let mut data = Zeroizing::new(self.data.clone());
        let clear = (self.cipher.decrypt)(&key, &self.iv, &mut data)?;
        let body = Zeroizing::new(STANDARD.encode(clear));
        let label = &self.label;
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", *body);
        Some(Zeroizing::new(pem))
    }

    /// OpenSSL's `EVP_BytesToKey`: MD5, one round, the first eight bytes of the IV as salt.
    fn derive(&self, passphrase: &str) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(64));
        let mut last: Option<[u8; 16]> = None;
        while key.len() < self.cipher.key {
            let mut context = md5::Context::new();
            if let Some(last) = &last {
                context.consume(last);
            }
            context.consume(passphrase.as_bytes());
            context.consume(&self.iv[..SALT]);
            let digest = context.finalize().0;
            key.extend_from_slice(&digest);
            last = Some(digest);
        }
        key.truncate(self.cipher.key);
        key
    }
}

fn decrypt<'a, D: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &'a mut [u8],
) -> Option<&'a [u8]> {
    D::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(data).ok()
}

const CIPHERS: [Cipher; 4] = [
    Cipher { name: "AES-128-CBC", key: 16, block: 16, decrypt: decrypt::<Decryptor<Aes128>> },
    Cipher { name: "AES-192-CBC", key: 24, block: 16, decrypt: decrypt::<Decryptor<Aes192>> },
    Cipher { name: "AES-256-CBC", key: 32, block: 16, decrypt: decrypt::<Decryptor<Aes256>> },
    Cipher { name: "DES-EDE3-CBC", key: 24, block: 8, decrypt: decrypt::<Decryptor<TdesEde3>> },
];
/// The bytes of an IV used as salt for the key.
const SALT: usize = 8;
