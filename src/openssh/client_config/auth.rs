//! The login settings of `ssh_config`: keys, agent, methods.

use std::path::PathBuf;

use super::local::Local;
use super::settings::{Settings, invalid, is_none, parse_time};
use super::signatures;
use super::tokens::Tokens;
use super::{
    AddKeysToAgent, AuthConfig, AuthMethod, ConfigError, IdentityFile, IdentityOrigin, SshOptions,
    Switch,
};
use crate::printable::{Lines, printable};

pub(super) fn read(
    settings: &Settings,
    options: &SshOptions,
    tokens: &Tokens<'_>,
) -> Result<AuthConfig, ConfigError> {
    Ok(AuthConfig {
        identity_files: identity_files(settings, options, tokens),
        certificate_files: certificate_files(settings, tokens),
        identities_only: settings.switch("identitiesonly", Switch::Off),
        pubkey_accepted_algorithms: signatures::accepted(settings)?,
        identity_agent: identity_agent(settings.first("identityagent"), tokens.local),
        batch_mode: settings.switch("batchmode", Switch::Off),
        pubkey_authentication: settings.switch("pubkeyauthentication", Switch::On),
        kbd_interactive_authentication: settings.switch("kbdinteractiveauthentication", Switch::On),
        password_authentication: settings.switch("passwordauthentication", Switch::On),
        preferred_authentications: methods(settings.first("preferredauthentications")),
        number_of_password_prompts: settings.number("NumberOfPasswordPrompts", 3)?,
        add_keys_to_agent: add_keys(settings)?,
    })
}

fn add_keys(settings: &Settings) -> Result<AddKeysToAgent, ConfigError> {
    let value = settings.first("addkeystoagent").unwrap_or("no");
    let mut words = value.split_whitespace();
    let lifetime = |text: &str| {
        let seconds = parse_time(text).and_then(|seconds| u32::try_from(seconds).ok());
        seconds.filter(|s| *s != 0).ok_or_else(|| invalid("AddKeysToAgent", value))
    };
    Ok(match (words.next().unwrap_or_default(), words.next()) {
        ("no" | "false", None) => AddKeysToAgent::No,
        ("ask", None) => AddKeysToAgent::Ask,
        ("yes" | "true", None) => AddKeysToAgent::Yes { confirm: Switch::Off, lifetime: None },
        ("confirm", time) => {
            AddKeysToAgent::Yes { confirm: Switch::On, lifetime: time.map(lifetime).transpose()? }
        }
        (time, None) => {
            AddKeysToAgent::Yes { confirm: Switch::Off, lifetime: Some(lifetime(time)?) }
        }
        _ => return Err(invalid("AddKeysToAgent", value)),
    })
}

fn methods(value: Option<&str>) -> Vec<AuthMethod> {
    let names = value.unwrap_or("publickey,keyboard-interactive,password");
    let known = [AuthMethod::PublicKey, AuthMethod::KeyboardInteractive, AuthMethod::Password];
    names.split(',').filter_map(|n| known.into_iter().find(|m| m.as_str() == n.trim())).collect()
}

fn identity_agent(value: Option<&str>, local: &Local) -> Option<PathBuf> {
    let of = |variable: &str| local.variables.get(variable).filter(|v| !v.is_empty());
    match value {
        None | Some("SSH_AUTH_SOCK") => of("SSH_AUTH_SOCK").map(PathBuf::from),
        Some("none") => None,
        Some(value) => match value.strip_prefix('$') {
            Some(variable) => of(variable).map(PathBuf::from),
            None => Some(local.expand_tilde(value)),
        },
    }
}

/// The private keys, those of the command line first. `ssh -G` omits the missing ones among them;
/// they are kept here, so that their absence is reported when they would be used.
fn identity_files(
    settings: &Settings,
    options: &SshOptions,
    tokens: &Tokens<'_>,
) -> Vec<IdentityFile> {
    let configured: Vec<&str> = settings.all("identityfile").filter(|f| !is_none(f)).collect();
    let is_default =
        |file: &str| file.strip_prefix("~/.ssh/").is_some_and(|f| DEFAULT_KEY_NAMES.contains(&f));
    // Without a configured file, `ssh -G` lists all of its default names.
    let by_default = configured.iter().filter(|f| is_default(f)).count() >= 3;
    let mut out: Vec<IdentityFile> = Vec::new();
    let mut push = |text: &str, origin| {
        let Some(path) = expand("identity", text, tokens) else { return };
        if !out.iter().any(|file| file.path == path) {
            out.push(IdentityFile { path, origin });
        }
    };
    // `ssh -G` has omitted the missing ones.
    for file in options.identities().filter(|file| !is_none(file)) {
        push(&file, IdentityOrigin::Named);
    }
    for file in configured {
        if !(by_default && is_default(file)) {
            push(file, IdentityOrigin::Named);
        } else if !file.ends_with("_dsa") && !file.ends_with("_xmss") {
            push(file, IdentityOrigin::Default);
        }
    }
    out
}

fn certificate_files(settings: &Settings, tokens: &Tokens<'_>) -> Vec<PathBuf> {
    // To `ssh`, "none" is the name of a file.
    settings.all("certificatefile").filter_map(|text| expand("certificate", text, tokens)).collect()
}

/// The path that a value denotes; `None`, with a warning, if it cannot be expanded.
fn expand(kind: &str, text: &str, tokens: &Tokens<'_>) -> Option<PathBuf> {
    let path = tokens.path(text);
    if path.is_none() {
        tracing::warn!(file = %printable(text, 200, Lines::One),
            "{kind} file left out: it has a token or a variable that is not known here");
    }
    path
}

/// Every default key name of any version of OpenSSH.
const DEFAULT_KEY_NAMES: [&str; 7] =
    ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
