//! Which algorithms are offered to a server, and in what order.
//!
//! Without a configured list, the default here applies: the fastest safe algorithms first. A
//! configured list (one where the output of `ssh -G` differs from that for an empty configuration)
//! applies in its own order, as far as russh implements it. A list that begins with `+`, `-` or `^`
//! changes the default here: what `ssh` makes of its own default reveals the change.

use russh::{cipher, kex, mac};
use tracing::{debug, info};

use super::settings::{self, Settings};
use super::{ConfigError, signatures};
use crate::printable::{Lines, printable};
pub(super) use change::Change;
pub(crate) use lists::{HOST_KEYS, OLD_HOST_KEYS};

mod change;
mod lists;

/// The algorithms to offer, best first; none of the lists is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    pub(crate) key_exchanges: Vec<kex::Name>,
    pub(crate) ciphers: Vec<cipher::Name>,
    pub(crate) macs: Vec<mac::Name>,
    /// The types of host keys and certificates, if they are configured.
    pub(crate) host_keys: Option<HostKeyTypes>,
}

/// The purpose of a list of algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    KeyExchange,
    Cipher,
    Mac,
    HostKey,
}

/// The accepted types of host keys, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostKeyTypes {
    pub(crate) names: Vec<String>,
    pub(crate) order: HostKeyOrder,
}

/// The type of host key to ask for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKeyOrder {
    AsListed,
    /// The type that is on record for the server, as in `ssh` if types were only added to its
    /// default list or removed from it. `ssh -G` prints only the result, so any list in the default
    /// order counts as such.
    RecordedFirst,
}

/// A configured list without any available algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{keyword}: none of '{}' is available here; these are: {}",
    printable(configured, 300, Lines::One),
    available.join(", ")
)]
pub struct NoneAvailable {
    /// The keyword of `ssh_config`.
    pub keyword: &'static str,
    /// The configured list.
    pub configured: String,
    /// The names that are available.
    pub available: Vec<String>,
}

/// Reads `KexAlgorithms`, `Ciphers`, `MACs` and `HostKeyAlgorithms`.
pub(super) fn read(settings: &Settings) -> Result<Algorithms, ConfigError> {
    let mut key_exchanges =
        list(settings, Kind::KeyExchange, &lists::KEY_EXCHANGES, &lists::OLD_KEY_EXCHANGES)?;
    // These are not algorithms, but extensions that are negotiated in the key exchange.
    key_exchanges
        .extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
    Ok(Algorithms {
        key_exchanges,
        ciphers: list(settings, Kind::Cipher, &lists::ciphers(), &lists::OLD_CIPHERS)?,
        macs: list(settings, Kind::Mac, &lists::MACS, &[])?,
        host_keys: host_keys(settings)?,
    })
}

fn host_keys(settings: &Settings) -> Result<Option<HostKeyTypes>, ConfigError> {
    let keyword = Kind::HostKey.keyword();
    let Some(configured) = settings.configured(&keyword.to_ascii_lowercase()) else {
        return Ok(None);
    };
    let usual = settings.usual("hostkeyalgorithms").map(change::split).unwrap_or_default();
    let (names, order) = if configured.starts_with(['+', '-', '^']) {
        let names = signatures::change(configured);
        let order = match Change::parse(configured) {
            Change::First(_) => HostKeyOrder::AsListed,
            _ => HostKeyOrder::RecordedFirst,
        };
        (names.ok_or_else(|| settings::invalid(keyword, configured))?, order)
    } else {
        let names = change::split(configured);
        let added = !usual.is_empty() && names.starts_with(&usual);
        let mut rest = usual.iter();
        let taken = names.iter().all(|name| rest.any(|usual| usual == name));
        let recorded = added || taken;
        (names, if recorded { HostKeyOrder::RecordedFirst } else { HostKeyOrder::AsListed })
    };
    let available = Kind::HostKey.available();
    if !names.iter().any(|name| available.contains(name)) {
        return Err(none_available(Kind::HostKey, configured));
    }
    log_missing(Kind::HostKey, &Change::parse(configured), &usual);
    Ok(Some(HostKeyTypes { names, order }))
}

/// The configured algorithms, out of `ours` and those that are used `on_request` only; by default ours.
fn list<N: Copy + AsRef<str>>(
    settings: &Settings,
    kind: Kind,
    ours: &[N],
    on_request: &[N],
) -> Result<Vec<N>, ConfigError> {
    let keyword = kind.keyword();
    let lower = keyword.to_ascii_lowercase();
    let Some(configured) = settings.configured(&lower) else { return Ok(ours.to_vec()) };
    let usual = settings.usual(&lower).unwrap_or_default();
    let change = match Change::parse(configured) {
        Change::Only(_) => Change::between(usual, configured),
        operator => operator,
    };
    let found = change.of(ours, &[ours, on_request].concat());
    if found.is_empty() {
        return Err(none_available(kind, configured));
    }
    log_missing(kind, &change, &change::split(usual));
    debug!(offered = joined(&found), "{keyword} is configured");
    Ok(found)
}

/// Logs the configured names that are not available.
fn log_missing(kind: Kind, change: &Change, usual: &[String]) {
    let (Change::Add(names) | Change::First(names) | Change::Only(names)) = change else { return };
    let available = kind.available();
    let missing: Vec<&String> =
        names.iter().filter(|name| !available.contains(name) && !usual.contains(name)).collect();
    if !missing.is_empty() {
        let names = printable(&joined(&missing), 300, Lines::One);
        info!("{}: not available here: {names}", kind.keyword());
    }
}

fn none_available(kind: Kind, configured: &str) -> ConfigError {
    let (keyword, configured) = (kind.keyword(), configured.to_owned());
    ConfigError::NoAlgorithm(NoneAvailable { keyword, configured, available: kind.available() })
}

impl Kind {
    /// The keyword of `ssh_config` for this list.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::KeyExchange => "KexAlgorithms",
            Self::Cipher => "Ciphers",
            Self::Mac => "MACs",
            Self::HostKey => "HostKeyAlgorithms",
        }
    }

    /// The names of all available algorithms, including those used on request only.
    pub(crate) fn available(self) -> Vec<String> {
        fn names<N: AsRef<str>>(ours: &[N], on_request: &[N]) -> Vec<String> {
            ours.iter().chain(on_request).map(|name| name.as_ref().to_owned()).collect()
        }
        match self {
            Self::KeyExchange => names(&lists::KEY_EXCHANGES, &lists::OLD_KEY_EXCHANGES),
            Self::Cipher => names(&lists::ciphers(), &lists::OLD_CIPHERS),
            Self::Mac => names(&lists::MACS, &[]),
            Self::HostKey => {
                let keys = || lists::HOST_KEYS.into_iter().chain(lists::OLD_HOST_KEYS);
                let plain = keys().map(|key| key.as_str().to_owned());
                plain.chain(keys().map(|key| key.to_certificate_type())).collect()
            }
        }
    }
}

fn joined(names: &[impl AsRef<str>]) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &str) -> Result<Algorithms, ConfigError> {
        let usual = "ciphers a,b\nmacs c\nkexalgorithms d\nhostkeyalgorithms e\n";
        read(&Settings::from_lines(&format!("{lines}{usual}")).against(usual))
    }

    #[test]
    fn the_default_lists_apply_without_a_configuration() {
        let usual = read_lines("").expect("ours");
        assert_eq!(usual.ciphers, lists::ciphers());
        assert_eq!(usual.macs, lists::MACS);
        assert!(
            joined(&usual.key_exchanges).starts_with("mlkem768x25519-sha256,curve25519-sha256,")
        );
        assert!(joined(&usual.key_exchanges).ends_with(",ext-info-c,kex-strict-c-v00@openssh.com"));
        assert_eq!(usual.host_keys, None);
    }

    #[test]
    fn a_configured_order_applies_and_may_name_old_algorithms() {
        let own = "ciphers aes256-ctr,3des-cbc,aes128-cbc,none,aes128-gcm@openssh.com\n\
                   macs umac-64@openssh.com,hmac-sha1,hmac-sha2-512\n\
                   kexalgorithms diffie-hellman-group1-sha1,diffie-hellman-group18-sha512\n\
                   hostkeyalgorithms ssh-rsa,ssh-ed25519\n";
        let own = read_lines(own).expect("some of each");
        assert_eq!(joined(&own.ciphers), "aes256-ctr,3des-cbc,aes128-cbc,aes128-gcm@openssh.com");
        assert_eq!(joined(&own.macs), "hmac-sha1,hmac-sha2-512");
        let kex = "diffie-hellman-group1-sha1,diffie-hellman-group18-sha512,ext-info-c,\
                   kex-strict-c-v00@openssh.com";
        assert_eq!(joined(&own.key_exchanges), kex);
        let host_keys = own.host_keys.expect("configured");
        assert_eq!(host_keys.names, ["ssh-rsa", "ssh-ed25519"]);
    }

    /// `ssh` prints its entire list with the additions, but its list differs from the default here.
    #[test]
    fn an_addition_to_the_list_of_ssh_is_added_to_ours() {
        let added =
            read_lines("ciphers a,b,aes128-cbc\nkexalgorithms diffie-hellman-group14-sha1,d\n");
        let added = added.expect("ours, and more");
        assert_eq!(joined(&added.ciphers), format!("{},aes128-cbc", joined(&lists::ciphers())));
        let kex = joined(&added.key_exchanges);
        assert!(kex.starts_with("diffie-hellman-group14-sha1,mlkem768x25519-sha256,"), "{kex}");
    }

    #[test]
    fn types_of_host_keys_that_keep_the_usual_order_only_change_the_list() {
        let named = |list: &str| {
            let list = list.replace('a', "ssh-ed25519").replace('b', "rsa-sha2-512");
            format!("hostkeyalgorithms {list}\n")
        };
        let usual = named("a,b,c");
        for (list, order) in [
            ("a,b,c,d", HostKeyOrder::RecordedFirst),
            ("a,c", HostKeyOrder::RecordedFirst),
            ("c,a,b", HostKeyOrder::AsListed),
            ("c,a", HostKeyOrder::AsListed),
            ("a,d", HostKeyOrder::AsListed),
        ] {
            let lines = named(list);
            let read = host_keys(&Settings::from_lines(&lines).against(&usual));
            let read = read.expect("one that there is");
            assert_eq!(read.map(|types| types.order), Some(order), "{list}");
        }
        let unchanged = host_keys(&Settings::from_lines(&usual).against(&usual));
        assert_eq!(unchanged.expect("no list"), None);
    }

    #[test]
    fn without_ssh_types_of_host_keys_change_what_openssh_has() {
        let read = |value: &str| {
            let option = Settings::from_options(&[format!("HostKeyAlgorithms={value}")]);
            host_keys(&option).expect(value).expect("configured")
        };
        assert_eq!(read("ssh-rsa,ssh-ed25519").order, HostKeyOrder::AsListed);
        let added = read("+ssh-rsa");
        assert_eq!(added.names.last().map(String::as_str), Some("ssh-rsa"));
        assert_eq!((added.names.len(), added.order), (17, HostKeyOrder::RecordedFirst));
        assert_eq!(read("^rsa-sha2-512").order, HostKeyOrder::AsListed);
        assert!(!read("-ssh-ed25519").names.contains(&"ssh-ed25519".to_owned()));
    }

    #[test]
    fn a_list_without_available_algorithms_is_an_error_that_names_those_available() {
        let told = read_lines("ciphers arcfour,\x1b[2J\n").expect_err("nothing is left");
        let told = told.to_string();
        assert!(told.starts_with("Ciphers: none of 'arcfour,\\u{1b}[2J' is available"), "{told}");
        assert!(told.contains("aes128-gcm@openssh.com, "), "{told}");
        let told = read_lines("hostkeyalgorithms ssh-dss\n").expect_err("nothing is left");
        let told = told.to_string();
        assert!(told.starts_with("HostKeyAlgorithms: none of 'ssh-dss' is available"), "{told}");
        assert!(told.contains("ssh-ed25519, ") && told.contains("-cert-v01@openssh.com"), "{told}");
    }

    #[test]
    fn without_ssh_a_list_may_change_ours() {
        let read = |option: &str| {
            let settings = Settings::from_options(&[option.to_owned()]);
            read(&settings).expect(option).macs
        };
        let usual = lists::MACS;
        assert_eq!(joined(&read("MACs=hmac-sha1")), "hmac-sha1");
        assert_eq!(joined(&read("MACs=+hmac-sha1")), joined(&usual), "it is there already");
        assert_eq!(joined(&read("MACs=-hmac-sha1*,*256*")), joined(&[usual[0], usual[2]]));
        let first = joined(&read("MACs=^hmac-sha2-256"));
        assert!(first.starts_with("hmac-sha2-256,hmac-sha2-512-etm@openssh.com,"), "{first}");
    }
}
