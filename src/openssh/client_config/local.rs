//! What this machine adds to a configuration: the home directory, the user, the environment, and what
//! `~` stands for.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::unistd::{Uid, User};

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
    pub(super) variables: HashMap<String, String>,
}

impl Local {
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
}
