//! The default place of the configuration file.

use std::path::PathBuf;

use crate::file;

/// `$XDG_CONFIG_HOME/sockeye/config.toml`, or `~/.config/sockeye/config.toml`; none without a home.
pub fn default_path() -> Option<PathBuf> {
    Some(file::xdg_directory("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}
