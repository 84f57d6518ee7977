//! What this machine adds to a configuration: the home directory, the user, the environment, and
//! with them what `ssh -G` leaves in a path: `~`, `${NAME}` and the tokens.

use std::collections::HashMap;
use std::path::PathBuf;

use super::ClientConfig;

/// This side, as far as paths of a configuration speak of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    /// The home directory, `%d`.
    pub(super) home: Option<PathBuf>,
    /// The local user's name, `%u`.
    pub(super) user: Option<String>,
    /// The local user's number, `%i`.
    pub(super) uid: u32,
    /// This machine's name, `%l`.
    pub(super) host: String,
    /// The environment.
    pub(super) variables: HashMap<String, String>,
}

impl Local {
    /// Of this process.
    pub(super) fn from_environment() -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let variables: HashMap<_, _> =
            std::env::vars_os().filter_map(|(k, v)| Some((text(k)?, text(v)?))).collect();
        let of = |name: &str| variables.get(name).filter(|v| !v.is_empty()).cloned();
        Self {
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            user: of("USER").or_else(|| of("LOGNAME")),
            uid: rustix::process::getuid().as_raw(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            variables,
        }
    }

    /// Puts the home directory in place of a leading `~`. Another user's (`~name`) stays as it is.
    pub(super) fn expand_tilde(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => {
                home.join(rest.trim_start_matches('/'))
            }
            _ => path.into(),
        }
    }

    /// Expands a path of `IdentityFile`, where `ssh -G` leaves everything as it was written
    /// (`ssh_config(5)`, TOKENS). `None` when it has a token that is not known here.
    pub(super) fn expand(&self, path: &str, config: &ClientConfig) -> Option<PathBuf> {
        let mut out = String::new();
        let mut rest = path;
        while let Some(at) = rest.find(['%', '$']) {
            out.push_str(&rest[..at]);
            let special = &rest[at..];
            if let Some(inner) = special.strip_prefix("${") {
                let (name, tail) = inner.split_once('}')?;
                out.push_str(self.variables.get(name)?);
                rest = tail;
            } else if let Some(tail) = special.strip_prefix('$') {
                out.push('$');
                rest = tail;
            } else {
                let token = special[1..].chars().next()?;
                out.push_str(&self.token(token, config)?);
                rest = &special[1 + token.len_utf8()..];
            }
        }
        out.push_str(rest);
        Some(self.expand_tilde(&out))
    }

    fn token(&self, token: char, config: &ClientConfig) -> Option<String> {
        Some(match token {
            '%' => "%".into(),
            'd' => self.home.as_ref()?.to_str()?.into(),
            'h' => config.host_name.clone(),
            'i' => self.uid.to_string(),
            'k' => config.host_keys.host_key_alias.clone().unwrap_or_else(|| config.name.clone()),
            'L' => self.host.split('.').next().unwrap_or_default().into(),
            'l' => self.host.clone(),
            'n' => config.name.clone(),
            'p' => config.port.to_string(),
            'r' => config.user.clone(),
            'u' => self.user.clone()?,
            // %C is a hash of the others, %j the jump host.
            _ => return None,
        })
    }
}
