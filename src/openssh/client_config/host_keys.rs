//! The host key settings of `ssh_config`.

use super::algorithms::Change;
use super::parse::DEFAULTS;
use super::settings::{Settings, invalid, is_none};
use super::signatures::SIGNATURES;
use super::tokens::Tokens;
use super::words::{self, Hash};
use super::{ConfigError, HostKeyConfig, StrictHostKeyChecking, Switch, UpdateHostKeys};

pub(super) fn read(settings: &Settings, tokens: &Tokens<'_>) -> Result<HostKeyConfig, ConfigError> {
    let local = tokens.local;
    Ok(HostKeyConfig {
        user_known_hosts_files: settings.files("userknownhostsfile", local),
        global_known_hosts_files: settings.files("globalknownhostsfile", local),
        known_hosts_command: command(settings, tokens)?,
        host_key_alias: settings.first("hostkeyalias").map(str::to_owned),
        strict_host_key_checking: strict(settings.first("stricthostkeychecking"))?,
        hash_known_hosts: settings.switch("hashknownhosts", Switch::Off),
        update_host_keys: update_host_keys(settings)?,
        revoked_host_keys: settings.files("revokedhostkeys", local),
        ca_signature_algorithms: list(settings.first("casignaturealgorithms")),
    })
}

/// The program and its arguments, with all tokens expanded that are known already.
fn command(settings: &Settings, tokens: &Tokens<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let command = settings.first("knownhostscommand").filter(|command| !is_none(command));
    let Some(command) = command else { return Ok(None) };
    let unreadable = || invalid("KnownHostsCommand", command);
    let mut words = words::split(command, Hash::Character).ok_or_else(unreadable)?;
    for word in words.iter_mut().skip(1) {
        *word = tokens.text(word, "HIKft").ok_or_else(unreadable)?;
    }
    Ok(Some(words))
}

fn strict(value: Option<&str>) -> Result<StrictHostKeyChecking, ConfigError> {
    Ok(match value.unwrap_or("ask").to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => StrictHostKeyChecking::Yes,
        "ask" => StrictHostKeyChecking::Ask,
        "accept-new" | "false" | "no" | "off" => StrictHostKeyChecking::AcceptNew,
        other => return Err(invalid("StrictHostKeyChecking", other)),
    })
}

/// Decides as OpenSSH does: the default is yes only if the files are the default ones.
fn update_host_keys(settings: &Settings) -> Result<UpdateHostKeys, ConfigError> {
    let value = settings.first("updatehostkeys");
    match value.map(str::to_ascii_lowercase).as_deref() {
        None if settings.first("userknownhostsfile") == Some(DEFAULTS[0].1) => {
            Ok(UpdateHostKeys::Yes)
        }
        None | Some("no" | "false") => Ok(UpdateHostKeys::No),
        Some("yes" | "true") => Ok(UpdateHostKeys::Yes),
        Some("ask") => Ok(UpdateHostKeys::Ask),
        Some(value) => Err(invalid("UpdateHostKeys", value)),
    }
}

/// The names of a list, or what a change leaves of the default; `None` if there is no value.
fn list(value: Option<&str>) -> Option<Vec<String>> {
    let change = Change::parse(value?);
    Some(change.apply(SIGNATURES.into_iter()).into_iter().map(str::to_owned).collect())
}
