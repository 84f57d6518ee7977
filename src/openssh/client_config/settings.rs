//! Keywords and their values, from the output of `ssh -G` or from options.

use std::path::PathBuf;
use std::time::Duration;

use super::local::Local;
use super::words::{self, Hash};
use super::{ConfigError, Setting, SshOptions, Switch};
use crate::openssh::server_name::ServerName;
use crate::printable::{Lines, printable};

/// Keywords in lower case with their values; the first of several values applies.
#[derive(Debug)]
pub(super) struct Settings {
    pairs: Pairs,
    /// The settings of an empty configuration.
    usual: Pairs,
}

type Pairs = Vec<(String, String)>;

impl Settings {
    /// Reads the output of `ssh -G`.
    pub(super) fn from_lines(output: &str) -> Self {
        Self { pairs: read_lines(output), usual: Vec::new() }
    }

    /// Adds the output of `ssh -G` for an empty configuration.
    pub(super) fn against(self, usual: &str) -> Self {
        Self { usual: read_lines(usual), ..self }
    }

    /// Reads the options of a command line, with the user and the port of `name` at its position.
    pub(super) fn from_command_line(options: &SshOptions, name: &ServerName) -> Self {
        let user = |user: &String| ("user".to_owned(), user.clone());
        let port = |port: u16| ("port".to_owned(), port.to_string());
        let mut pairs = Pairs::new();
        for setting in options.with_name() {
            match setting {
                Setting::Option(option) => pairs.extend(read_option(option)),
                Setting::User(name) => pairs.push(user(name)),
                Setting::Port(number) => pairs.push(port(*number)),
                Setting::Identity(file) => {
                    pairs.push(("identityfile".to_owned(), file.to_string_lossy().into_owned()));
                }
                Setting::Tag(tag) => pairs.push(("tag".to_owned(), tag.clone())),
                Setting::Name => {
                    pairs.extend(name.user.as_ref().map(user));
                    pairs.extend(name.port.map(port));
                }
            }
        }
        Self { pairs, usual: Vec::new() }
    }

    /// Reads `Key=Value` and `Key Value`.
    #[cfg(test)]
    pub(super) fn from_options(options: &[String]) -> Self {
        let pairs = options.iter().filter_map(|option| read_option(option)).collect();
        Self { pairs, usual: Vec::new() }
    }

    pub(super) fn fill_in(&mut self, pairs: &[(&str, &str)]) {
        self.pairs.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    }

    pub(super) fn overrule(&mut self, keyword: &str, value: &str) {
        self.pairs.insert(0, (keyword.to_owned(), value.to_owned()));
    }

    /// Replaces each value of a keyword, if `replace` succeeds.
    pub(super) fn replace<E>(
        &mut self,
        keyword: &str,
        replaced: impl Fn(&str) -> Result<String, E>,
    ) -> Result<(), E> {
        for (_, value) in self.pairs.iter_mut().filter(|(k, _)| k == keyword) {
            *value = replaced(value)?;
        }
        Ok(())
    }

    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(k, _)| k == keyword).map(|(_, value)| value.as_str())
    }

    pub(super) fn first(&self, keyword: &str) -> Option<&str> {
        self.all(keyword).next()
    }

    /// Removes a keyword, and returns its first value.
    pub(super) fn take(&mut self, keyword: &str) -> Option<String> {
        let value = self.first(keyword).map(str::to_owned);
        for pairs in [&mut self.pairs, &mut self.usual] {
            pairs.retain(|(k, _)| k != keyword);
        }
        value
    }

    /// The first value of two keywords, and which of the two it belongs to.
    pub(super) fn first_of(&self, keywords: [&str; 2]) -> Option<(&str, &str)> {
        let pair = self.pairs.iter().find(|(k, _)| keywords.contains(&k.as_str()))?;
        Some((&pair.0, &pair.1))
    }

    /// The value, if it is not the default.
    pub(super) fn configured(&self, keyword: &str) -> Option<&str> {
        self.first(keyword).filter(|_| self.is_configured(keyword))
    }

    /// The first default value of the keyword, if known.
    pub(super) fn usual(&self, keyword: &str) -> Option<&str> {
        self.usual.iter().find(|(k, _)| k == keyword).map(|(_, value)| value.as_str())
    }

    /// Whether the values differ from the defaults of the keyword.
    pub(super) fn is_configured(&self, keyword: &str) -> bool {
        let usual = self.usual.iter().filter(|(k, _)| k == keyword).map(|(_, v)| v.as_str());
        !self.all(keyword).eq(usual)
    }

    pub(super) fn switch(&self, keyword: &str, default: Switch) -> Switch {
        match self.first(keyword) {
            None => default,
            // Values such as `pubkeyauthentication unbound` mean yes.
            Some(v) if ["no", "false", "off"].iter().any(|no| v.eq_ignore_ascii_case(no)) => {
                Switch::Off
            }
            Some(_) => Switch::On,
        }
    }

    pub(super) fn number(&self, keyword: &'static str, default: u32) -> Result<u32, ConfigError> {
        match self.first(&keyword.to_ascii_lowercase()) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| invalid(keyword, value)),
        }
    }

    /// A time in the formats of `sshd_config(5)`; 0 and `none` are `None`.
    pub(super) fn time(&self, keyword: &'static str) -> Result<Option<Duration>, ConfigError> {
        let value = self.first(&keyword.to_ascii_lowercase()).unwrap_or("none");
        if value == "none" {
            return Ok(None);
        }
        let seconds = parse_time(value).ok_or_else(|| invalid(keyword, value))?;
        Ok((seconds != 0).then(|| Duration::from_secs(seconds)))
    }

    pub(super) fn files(&self, keyword: &str, local: &Local) -> Vec<PathBuf> {
        let paths = split_paths(self.first(keyword).unwrap_or_default());
        paths.iter().filter(|p| !is_none(p)).map(|p| local.expand_tilde(p)).collect()
    }
}

/// Parses `Key=Value` and `Key Value`. The words of the value lose their quotes, and a comment after them is left
/// out, unless the value is a command.
pub(super) fn read_option(option: &str) -> Option<(String, String)> {
    let option = option.trim();
    let end = option.find(|c: char| c == '=' || c.is_whitespace())?;
    let (keyword, value) = option.split_at(end);
    let value = value.trim_start();
    let value = value.strip_prefix('=').unwrap_or(value).trim_start();
    let keyword = keyword.to_ascii_lowercase();
    let present = OLD_NAMES.iter().find(|(old, _)| *old == keyword);
    let keyword = present.map_or(keyword, |(_, present)| (*present).to_owned());
    let is_whole = WHOLE_LINES.contains(&keyword.as_str());
    let words = words::split(value, Hash::Comment).filter(|_| !is_whole);
    let value = words.map_or_else(|| value.to_owned(), |words| words.join(" "));
    Some((keyword, value))
}

/// Parses lines of a keyword and its value.
fn read_lines(output: &str) -> Pairs {
    let pair = |line: &str| {
        let (keyword, value) = line.split_once(' ')?;
        Some((keyword.to_ascii_lowercase(), value.trim_end_matches('\r').to_owned()))
    };
    output.lines().filter_map(pair).collect()
}

/// Splits a list of paths. `ssh -G` prints paths with spaces without quotes, so a word that does
/// not begin like the first one (with `/` or `~`) belongs to the path before it.
fn split_paths(value: &str) -> Vec<String> {
    let rooted = |word: &str| word.starts_with(['/', '~']);
    let mut paths: Vec<String> = Vec::new();
    for word in value.split(' ') {
        match paths.last_mut() {
            Some(last) if rooted(last) && !rooted(word) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => paths.push(word.to_owned()),
        }
    }
    paths.retain(|path| !path.trim().is_empty());
    paths
}

/// Parses `90`, `2m`, `1h30m` to seconds (`sshd_config(5)`, TIME FORMATS).
pub(super) fn parse_time(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0_u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit.into())?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match number {
        Some(seconds) => total.checked_add(seconds),
        None if text.is_empty() => None,
        None => Some(total),
    }
}

/// Older names of keywords, which `ssh` still takes.
pub(super) const OLD_NAMES: [(&str, &str); 11] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("hostbasedkeytypes", "hostbasedacceptedalgorithms"),
    ("identityfile2", "identityfile"),
    ("keepalive", "tcpkeepalive"),
    ("protocolkeepalives", "serveraliveinterval"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("setuptimeout", "serveraliveinterval"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("smartcarddevice", "pkcs11provider"),
    ("tisauthentication", "kbdinteractiveauthentication"),
];

/// Keywords whose value is the rest of the line as it is, with quotes and `#`.
const WHOLE_LINES: [&str; 5] =
    ["knownhostscommand", "localcommand", "proxycommand", "proxyjump", "remotecommand"];

/// Whether a value stands for nothing.
pub(super) fn is_none(value: &str) -> bool {
    value.eq_ignore_ascii_case("none")
}

/// The error for an invalid value.
pub(super) fn invalid(keyword: &'static str, value: &str) -> ConfigError {
    ConfigError::Invalid { keyword, value: printable(value, 80, Lines::One) }
}
