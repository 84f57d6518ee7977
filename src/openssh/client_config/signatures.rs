//! `PubkeyAcceptedAlgorithms`: the signature algorithms that keys are tried with.

use super::ConfigError;
use super::algorithms::Change;
use super::settings::{Settings, invalid};

/// The algorithms, in order of preference. `ssh -G` prints all of them; on a command line they may
/// also change the default list. SHA-1 must be asked for, even if an `ssh` before 8.8 has it in its
/// default.
pub(super) fn accepted(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    // The second is its name in OpenSSH before 8.5.
    let keywords = ["pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"];
    let found = keywords.into_iter().find_map(|k| Some((k, settings.first(k)?)));
    let Some((keyword, value)) = found else { return Ok(default().map(str::to_owned).collect()) };
    let list = change(value).ok_or_else(|| invalid("PubkeyAcceptedAlgorithms", value))?;
    if settings.is_configured(keyword) {
        return Ok(list);
    }
    Ok(list.into_iter().filter(|name| !SHA_1.contains(&name.as_str())).collect())
}

/// The default list, changed by a value; `None` if it contains an empty name.
pub(super) fn change(value: &str) -> Option<Vec<String>> {
    let names = value.strip_prefix(['+', '-', '^']).unwrap_or(value);
    if names.split(',').any(|name| name.trim().is_empty()) {
        return None;
    }
    let change = Change::parse(value);
    Some(change.apply(default()).into_iter().map(str::to_owned).collect())
}

/// OpenSSH's default (`ssh_config(5)`): certificates first.
fn default<'a>() -> impl Iterator<Item = &'a str> {
    CERTIFICATES.into_iter().chain(SIGNATURES)
}

const CERTIFICATES: [&str; 8] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
];

const SHA_1: [&str; 2] = ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com"];

/// The signature algorithms of plain keys, without SHA-1. OpenSSH's default for
/// `CASignatureAlgorithms` is the same.
pub(crate) const SIGNATURES: [&str; 8] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> Result<Vec<String>, ConfigError> {
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        accepted(&Settings::from_options(&options))
    }

    #[test]
    fn a_list_stands_alone_and_the_operators_change_the_default() {
        assert!(of(&[]).expect("the default").into_iter().eq(default()));
        let only = of(&["PubkeyAcceptedAlgorithms=rsa-sha2-256,ssh-ed25519"]);
        assert_eq!(only.expect("a list"), ["rsa-sha2-256", "ssh-ed25519"]);
        let old = of(&["PubkeyAcceptedKeyTypes ssh-ed25519"]);
        assert_eq!(old.expect("the old name"), ["ssh-ed25519"]);

        let more = of(&["PubkeyAcceptedAlgorithms=+ssh-rsa,ssh-ed25519"]).expect("added");
        assert_eq!((more.len(), more.last().map(String::as_str)), (17, Some("ssh-rsa")));
        let first = of(&["PubkeyAcceptedAlgorithms=^rsa-sha2-256"]).expect("in front");
        assert_eq!((first.len(), first[0].as_str()), (16, "rsa-sha2-256"));
        let less = of(&["PubkeyAcceptedAlgorithms=-*-cert-v01@openssh.com,rsa-sha2-???"]);
        let left = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"];
        assert_eq!(less.expect("taken out")[..3], left);
    }

    #[test]
    fn sha_1_must_be_asked_for() {
        let read = |line: &str| {
            let usual = "pubkeyacceptedalgorithms ssh-ed25519,ssh-rsa\n";
            accepted(&Settings::from_lines(line).against(usual)).expect("a list")
        };
        assert_eq!(read("pubkeyacceptedalgorithms ssh-ed25519,ssh-rsa\n"), ["ssh-ed25519"]);
        assert_eq!(read("pubkeyacceptedalgorithms ssh-rsa\n"), ["ssh-rsa"]);
    }

    #[test]
    fn an_empty_name_is_refused() {
        for value in ["", "a,,b", "+", "-,"] {
            let told = of(&[&format!("PubkeyAcceptedAlgorithms={value}")]);
            assert!(matches!(told, Err(ConfigError::Invalid { .. })), "{value:?}: {told:?}");
        }
    }
}
