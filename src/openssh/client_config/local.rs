//! What this machine adds to a configuration: the home directory, the user, the environment, and
//! with them what `ssh -G` leaves in a path: `~`, `${NAME}` and the tokens.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::unistd::{Uid, User};

use super::{ClientConfig, Way};

/// This side, as far as paths of a configuration speak of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    /// The home directory, `%d`: that of the password database, whatever `HOME` says, as with `ssh`.
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
        // A user without an entry has at least what the environment says.
        let entry = User::from_uid(Uid::current()).ok().flatten();
        let home = entry.as_ref().map(|entry| entry.dir.clone()).or_else(std::env::home_dir);
        let user = entry.map(|entry| entry.name).or_else(|| of("USER")).or_else(|| of("LOGNAME"));
        Self {
            home: home.filter(|home| home.is_absolute()),
            user,
            uid: Uid::current().as_raw(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            variables,
        }
    }

    /// Puts the home directory in place of a leading `~`, that of another user in place of `~name`.
    /// Where there is none, the path stays as it is.
    pub(super) fn expand_tilde(&self, path: &str) -> PathBuf {
        let Some(rest) = path.strip_prefix('~') else { return path.into() };
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let home = match name {
            "" => self.home.clone(),
            name => User::from_name(name).ok().flatten().map(|entry| entry.dir),
        };
        match home {
            Some(home) if rest.is_empty() => home,
            Some(home) => home.join(rest.trim_start_matches('/')),
            None => path.into(),
        }
    }

    /// Expands a path of `IdentityFile`, where `ssh -G` leaves everything as it was written
    /// (`ssh_config(5)`, TOKENS). `None` when it has a token that is not known here.
    pub(super) fn expand(&self, path: &str, config: &ClientConfig) -> Option<PathBuf> {
        self.expand_text(path, config, "").map(|path| self.expand_tilde(&path))
    }

    /// Expands the tokens of `LocalCommand`; a shell does the rest.
    pub(super) fn expand_command(&self, command: &str, config: &ClientConfig) -> Option<String> {
        let mut out = String::new();
        let mut rest = command;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let token = after.chars().next()?;
            match token {
                // No tunnel device is made.
                'T' => out.push_str("NONE"),
                _ => out.push_str(&self.token(token, config)?),
            }
            rest = &after[token.len_utf8()..];
        }
        out.push_str(rest);
        Some(out)
    }

    /// Expands tokens and variables. Those of `later` are known only later: a NUL takes the place of
    /// their `%`.
    pub(super) fn expand_text(
        &self,
        text: &str,
        config: &ClientConfig,
        later: &str,
    ) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
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
                if later.contains(token) {
                    out.extend(['\0', token]);
                } else {
                    out.push_str(&self.token(token, config)?);
                }
                rest = &special[1 + token.len_utf8()..];
            }
        }
        out.push_str(rest);
        Some(out)
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
            'C' => config.hash.clone()?,
            'j' => match &config.reach.way {
                Way::Jump(jump) => jump.last().0.host.clone(),
                Way::Direct | Way::Command(_) => String::new(),
            },
            _ => return None,
        })
    }
}
