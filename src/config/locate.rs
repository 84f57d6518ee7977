//! The default place of the configuration file.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$XDG_CONFIG_HOME/sockeye/config.toml`, or `~/.config/sockeye/config.toml` where the variable is not an
/// absolute path (XDG Base Directory Specification); none without a home.
pub fn default_path() -> Option<PathBuf> {
    below(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME"))
}

fn below(config_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let folder = config_home
        .and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".config")))?;
    Some(folder.join("sockeye").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_counts_where_it_is_absolute() {
        let below = |config_home: Option<&str>, home: Option<&str>| {
            below(config_home.map(Into::into), home.map(Into::into))
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(below(Some("/c"), Some("/h")), path("/c/sockeye/config.toml"));
        for unusable in [None, Some(""), Some("relative")] {
            assert_eq!(below(unusable, Some("/h")), path("/h/.config/sockeye/config.toml"));
        }
        assert_eq!(below(None, None), None);
    }
}
