//! The available algorithms: those offered by default, best first, and those offered only if they
//! are configured by name.

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{cipher, kex, mac};

/// The default ciphers, fastest first: AES-GCM if the processor has instructions for it.
pub(super) fn ciphers() -> [cipher::Name; 6] {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    let aes = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    let aes = false;
    let (gcm_128, gcm_256) = (cipher::AES_128_GCM, cipher::AES_256_GCM);
    let (chacha, ctr_128) = (cipher::CHACHA20_POLY1305, cipher::AES_128_CTR);
    let (ctr_192, ctr_256) = (cipher::AES_192_CTR, cipher::AES_256_CTR);
    if aes {
        [gcm_128, gcm_256, chacha, ctr_128, ctr_192, ctr_256]
    } else {
        [chacha, gcm_128, gcm_256, ctr_128, ctr_192, ctr_256]
    }
}

/// CBC ciphers, with which an attacker may recover plaintext (CVE-2008-5161).
pub(super) const OLD_CIPHERS: [cipher::Name; 4] =
    [cipher::AES_128_CBC, cipher::AES_192_CBC, cipher::AES_256_CBC, cipher::TRIPLE_DES_CBC];

/// The default key exchanges, best first. The last ones compute with large numbers, which block the
/// runtime's thread: up to a second for group 18.
pub(super) const KEY_EXCHANGES: [kex::Name; 11] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
];

/// Key exchanges with SHA-1 or a group of 1024 bits.
pub(super) const OLD_KEY_EXCHANGES: [kex::Name; 4] =
    [kex::DH_G17_SHA512, kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];

/// The default MACs: encrypt-then-MAC only; GCM and Poly1305 need none. HMAC with SHA-1 is still
/// safe, and comes last.
pub(super) const MACS: [mac::Name; 6] = [
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];

/// The accepted types of host keys, best first.
pub(crate) const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Signatures with SHA-1.
pub(crate) const OLD_HOST_KEYS: [Algorithm; 1] = [Algorithm::Rsa { hash: None }];

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PAGE: &str = include_str!("../../../guide/ssh-config.md");

    fn row<A: AsRef<str>, B: AsRef<str>>(keyword: &str, usual: &[A], named: &[B]) -> String {
        fn cell(names: &[impl AsRef<str>]) -> String {
            names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(" ")
        }
        format!("| `{keyword}` | {} | {} |", cell(usual), cell(named))
    }

    /// The guide shows the same table.
    #[test]
    fn the_guide_says_the_same() {
        let (gcm_128, chacha) = (cipher::AES_128_GCM, cipher::CHACHA20_POLY1305);
        let (ctr_128, ctr_192) = (cipher::AES_128_CTR, cipher::AES_192_CTR);
        let with_aes =
            [gcm_128, cipher::AES_256_GCM, chacha, ctr_128, ctr_192, cipher::AES_256_CTR];
        let mut own = ciphers().map(|name| name.as_ref().to_owned());
        let mut shown = with_aes.map(|name| name.as_ref().to_owned());
        own.sort();
        shown.sort();
        assert_eq!(own, shown);
        for row in [
            row("KexAlgorithms", &KEY_EXCHANGES, &OLD_KEY_EXCHANGES),
            row("Ciphers", &with_aes, &OLD_CIPHERS),
            row("MACs", &MACS, &[] as &[mac::Name]),
            row("HostKeyAlgorithms", &HOST_KEYS, &OLD_HOST_KEYS),
        ] {
            assert!(PAGE.contains(&row), "src/guide/ssh-config.md should have this row:\n{row}");
        }
    }

    /// Every algorithm of the installed `ssh` is listed, as available or as missing.
    #[test]
    #[ignore = "needs ssh"]
    fn the_guide_names_every_algorithm_of_the_installed_ssh() {
        for kind in ["kex", "cipher", "mac", "HostKeyAlgorithms"] {
            let output = Command::new("ssh").args(["-Q", kind]).output().expect("ssh");
            let names = String::from_utf8(output.stdout).expect("names");
            assert!(names.lines().count() > 5, "{names}");
            for name in names.lines() {
                let (bare, _) = name.split_once('@').unwrap_or((name, ""));
                let bare = bare.replace("-cert-v01", "").replace("-etm", "");
                let is_there =
                    PAGE.contains(&format!("`{bare}`")) || PAGE.contains(&format!("`{name}`"));
                assert!(is_there, "{name} is not in the guide");
            }
        }
    }
}
