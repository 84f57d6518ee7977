//! Which algorithms are offered to a server, in which order.
//!
//! Where nobody has configured a list, ours counts: the fastest safe ones first. Where somebody has
//! (what `ssh -G` prints differs from what it prints for an empty configuration), theirs counts, in
//! their order, as far as the library has it and it is safe. A list that begins with `+`, `-` or `^`
//! changes OpenSSH's list; where there is no `ssh` to do that, it changes ours.

use std::fmt;

use russh::{cipher, kex, mac};
use tracing::debug;

use super::ConfigError;
use super::settings::Settings;
use crate::printable::{Lines, printable};

/// The algorithms to offer, best first; none of the lists is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    pub(crate) key_exchanges: Vec<kex::Name>,
    pub(crate) ciphers: Vec<cipher::Name>,
    pub(crate) macs: Vec<mac::Name>,
    /// The types of host keys and certificates, where somebody configured them.
    pub(crate) host_keys: Option<HostKeyTypes>,
}

/// Which types of host keys are taken, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostKeyTypes {
    /// In the order that was configured.
    pub(crate) names: Vec<String>,
    /// Whether that order counts.
    pub(crate) order: HostKeyOrder,
}

/// Which type of host key is asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKeyOrder {
    /// As listed.
    AsListed,
    /// What is on record for the server. So `ssh` does where types were only added to its own list,
    /// or taken from it. `ssh -G` tells the result alone: a list that keeps the usual order counts
    /// as such.
    RecordedFirst,
}

/// A configured list that has nothing for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{keyword}: none of '{}' is available here; these are: {}",
    printable(configured, 300, Lines::One),
    available.join(", ")
)]
pub struct NoneAvailable {
    /// The keyword of `ssh_config`.
    pub keyword: &'static str,
    /// What was configured.
    pub configured: String,
    /// What there would be.
    pub available: Vec<String>,
}

/// What is said about `KexAlgorithms`, `Ciphers`, `MACs` and `HostKeyAlgorithms`.
pub(super) fn read(settings: &Settings) -> Result<Algorithms, ConfigError> {
    let mut key_exchanges = list(settings, "KexAlgorithms", &KEY_EXCHANGES, &SLOW_KEY_EXCHANGES)?;
    // Not algorithms: what else a key exchange may agree on.
    key_exchanges
        .extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
    Ok(Algorithms {
        key_exchanges,
        ciphers: list(settings, "Ciphers", &ciphers(), &[])?,
        macs: list(settings, "MACs", &MACS, &OLD_MACS)?,
        host_keys: host_keys(settings),
    })
}

fn host_keys(settings: &Settings) -> Option<HostKeyTypes> {
    let names = |list: &str| -> Vec<String> {
        list.split(',').map(|name| name.trim().to_owned()).collect()
    };
    // Without `ssh`, what is added to our list or taken from it is not worked out.
    let configured = settings.configured("hostkeyalgorithms");
    let listed = configured.filter(|list| !list.starts_with(['+', '-', '^'])).map(names)?;
    let usual = settings.usual("hostkeyalgorithms").map(names).unwrap_or_default();
    let added = !usual.is_empty() && listed.starts_with(&usual);
    let mut rest = usual.iter();
    let taken = listed.iter().all(|name| rest.any(|usual| usual == name));
    let order = if added || taken { HostKeyOrder::RecordedFirst } else { HostKeyOrder::AsListed };
    Some(HostKeyTypes { names: listed, order })
}

/// What is configured, of `ours` and of what is used `on_request` only; or else ours.
fn list<N: Copy + AsRef<str>>(
    settings: &Settings,
    keyword: &'static str,
    ours: &[N],
    on_request: &[N],
) -> Result<Vec<N>, ConfigError> {
    let Some(configured) = settings.configured(&keyword.to_ascii_lowercase()) else {
        return Ok(ours.to_vec());
    };
    let all: Vec<N> = [ours, on_request].concat();
    let find = |names: &str| -> Vec<N> {
        let known = |name: &str| all.iter().find(|n| n.as_ref() == name.trim()).copied();
        names.split(',').filter_map(known).collect()
    };
    let is_in = |list: &[N], name: &N| list.iter().any(|n| n.as_ref() == name.as_ref());
    let found = match configured.split_at_checked(1) {
        Some(("+", names)) => {
            let added = find(names).into_iter().filter(|name| !is_in(ours, name)).collect();
            [ours.to_vec(), added].concat()
        }
        Some(("-", names)) => {
            let taken = find(names);
            ours.iter().filter(|name| !is_in(&taken, name)).copied().collect()
        }
        Some(("^", names)) => {
            let first = find(names);
            let rest = ours.iter().filter(|name| !is_in(&first, name)).copied().collect();
            [first, rest].concat()
        }
        _ => find(configured),
    };
    if found.is_empty() {
        let available = all.iter().map(|name| name.as_ref().to_owned()).collect();
        let configured = configured.to_owned();
        return Err(ConfigError::NoAlgorithm(NoneAvailable { keyword, configured, available }));
    }
    debug!(offered = %Names(&found), "{keyword} is configured");
    Ok(found)
}

struct Names<'a, N>(&'a [N]);

impl<N: AsRef<str>> fmt::Display for Names<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(AsRef::as_ref).collect();
        f.write_str(&names.join(","))
    }
}

/// The fastest first: AES-GCM where the processor has instructions for it. Block chaining (CBC) is
/// left out: what an attacker sends can tell what the bytes mean (CVE-2008-5161).
fn ciphers() -> [cipher::Name; 6] {
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

/// Best first. Those that hash with SHA-1, and the group of 1024 bits, are left out.
const KEY_EXCHANGES: [kex::Name; 9] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
];

/// Groups above 4096 bits hold up the runtime's thread for long; who asks for them gets them.
const SLOW_KEY_EXCHANGES: [kex::Name; 3] =
    [kex::DH_G17_SHA512, kex::DH_G18_SHA512, kex::DH_GEX_SHA256];

/// Those that cover what is encrypted first. GCM and Poly1305 need none of them.
const MACS: [mac::Name; 4] =
    [mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

/// Still safe in this place, and only for those who ask for it.
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &str) -> Result<Algorithms, ConfigError> {
        let usual = "ciphers a,b\nmacs c\nkexalgorithms d\nhostkeyalgorithms e\n";
        read(&Settings::from_lines(&format!("{lines}{usual}")).against(usual))
    }

    fn text<N: AsRef<str>>(names: &[N]) -> String {
        Names(names).to_string()
    }

    #[test]
    fn ours_where_nobody_says_otherwise() {
        let usual = read_lines("").expect("ours");
        assert_eq!(usual.ciphers, ciphers());
        assert_eq!(usual.macs, MACS);
        assert!(text(&usual.key_exchanges).starts_with("mlkem768x25519-sha256,curve25519-sha256,"));
        assert!(text(&usual.key_exchanges).ends_with(",ext-info-c,kex-strict-c-v00@openssh.com"));
        assert_eq!(usual.host_keys, None);
    }

    #[test]
    fn a_configured_order_counts_and_what_is_unsafe_does_not() {
        let own = "ciphers aes256-ctr,3des-cbc,aes128-cbc,none,aes128-gcm@openssh.com\n\
                   macs umac-64@openssh.com,hmac-sha1,hmac-sha2-512\n\
                   kexalgorithms diffie-hellman-group1-sha1,diffie-hellman-group18-sha512\n\
                   hostkeyalgorithms ssh-rsa,ssh-ed25519\n";
        let own = read_lines(own).expect("some of each");
        assert_eq!(text(&own.ciphers), "aes256-ctr,aes128-gcm@openssh.com");
        assert_eq!(text(&own.macs), "hmac-sha1,hmac-sha2-512");
        let kex = "diffie-hellman-group18-sha512,ext-info-c,kex-strict-c-v00@openssh.com";
        assert_eq!(text(&own.key_exchanges), kex);
        let host_keys = own.host_keys.expect("configured");
        assert_eq!(host_keys.names, ["ssh-rsa", "ssh-ed25519"]);
    }

    #[test]
    fn types_of_host_keys_that_keep_the_usual_order_only_change_the_list() {
        let usual = "hostkeyalgorithms a,b,c\n";
        for (list, order) in [
            ("a,b,c,d", HostKeyOrder::RecordedFirst),
            ("a,c", HostKeyOrder::RecordedFirst),
            ("c,a,b", HostKeyOrder::AsListed),
            ("c,a", HostKeyOrder::AsListed),
            ("a,d", HostKeyOrder::AsListed),
        ] {
            let lines = format!("hostkeyalgorithms {list}\n");
            let read = host_keys(&Settings::from_lines(&lines).against(usual));
            assert_eq!(read.map(|types| types.order), Some(order), "{list}");
        }
        assert_eq!(host_keys(&Settings::from_lines(usual).against(usual)), None);
        let option = Settings::from_options(&["HostKeyAlgorithms=c,a".to_owned()]);
        assert_eq!(host_keys(&option).map(|types| types.order), Some(HostKeyOrder::AsListed));
    }

    #[test]
    fn a_list_with_nothing_for_us_is_told_with_what_there_is() {
        let told = read_lines("ciphers aes128-cbc,\x1b[2J\n").expect_err("nothing is left");
        let told = told.to_string();
        assert!(
            told.starts_with("Ciphers: none of 'aes128-cbc,\\u{1b}[2J' is available"),
            "{told}"
        );
        assert!(told.contains("aes128-gcm@openssh.com, "), "{told}");
    }

    #[test]
    fn without_ssh_a_list_may_change_ours() {
        let read = |option: &str| {
            let settings = Settings::from_options(&[option.to_owned()]);
            read(&settings).expect(option).macs
        };
        assert_eq!(text(&read("MACs=hmac-sha1")), "hmac-sha1");
        assert_eq!(text(&read("MACs=+hmac-sha1")), format!("{},hmac-sha1", text(&MACS)));
        assert_eq!(text(&read("MACs=-hmac-sha2-512")), text(&[MACS[0], MACS[1], MACS[3]]));
        let first = text(&[MACS[3], MACS[0], MACS[1], MACS[2]]);
        assert_eq!(text(&read("MACs=^hmac-sha2-256")), first);
    }
}
