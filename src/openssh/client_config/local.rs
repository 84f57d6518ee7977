//! The local facts that a configuration refers to: the home directory, the user, the environment, and
//! the meaning of `~`.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// The facts about this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    /// The home directory, `%d`: from the password database, regardless of `HOME`, as in `ssh`.
    pub(super) home: Option<PathBuf>,
    /// The local user's name, `%u`.
    pub(super) user: Option<String>,
    /// The local user id, `%i`.
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
        // For a user without an entry, the environment has to do.
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

    /// Expands a leading `~` to the home directory, and `~name` to that of another user. If there
    /// is none, the path is unchanged.
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
