//! The route to a server, and the parameters of the connection.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::settings::{Settings, invalid, parse_time};
use super::tokens::{Tokens, replaced};
use super::{ConfigError, SshOptions, Switch};
use crate::openssh::server_name::{InvalidServerName, ServerName};
use crate::printable::{Lines, printable};

/// How a session reaches its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over a direct TCP connection.
    Direct,
    /// Over a channel of another session (`ProxyJump`, `-J`).
    Jump(Jump),
    /// Over the standard input and output of a program (`ProxyCommand`): a command for the user's
    /// shell, with its tokens expanded.
    Command(String),
}

/// The jump hosts on the way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The hops, in order; at least one.
    hops: JumpList,
    /// `-F`, which `ssh` passes on to the hops. Other flags apply to the last server only.
    config_file: Option<PathBuf>,
}

/// Jump hosts in order, as `-J` takes them: `[user@]host[:port]` or `ssh://[user@]host[:port]`,
/// separated by commas; `none` is the empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JumpList(Vec<JumpHost>);

/// A jump host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct JumpHost {
    /// The text that the user wrote, which is passed on to `ssh`.
    text: String,
    name: ServerName,
}

/// Why a text is not a list of jump hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidJumpList {
    #[error("'{text}': {why}; a list looks like me@first:22,second")]
    Host {
        /// The text, escaped.
        text: String,
        why: InvalidServerName,
    },
    #[error("more than {MAX_HOPS} servers to pass")]
    TooMany,
}

/// The source of a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Any address, chosen by the system.
    Any,
    /// An address of this machine, or its name (`BindAddress`, `-b`).
    Address(String),
    /// A network interface (`BindInterface`, `-B`).
    Interface(String),
}

/// When a session is to be rekeyed (`RekeyLimit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyLimit {
    /// After this many bytes; the default depends on the cipher.
    pub bytes: Option<u64>,
    /// After this time; never by default.
    pub age: Option<Duration>,
}

impl Jump {
    /// The last hop, and the flags that `ssh` passes to the `ssh` that connects to it: the hops
    /// before it and the configuration file.
    pub(crate) fn last(&self) -> (&ServerName, SshOptions) {
        let (last, before) = self.hops.0.split_last().expect("there is one at least");
        let jumps = (!before.is_empty()).then(|| JumpList(before.to_vec()));
        let config_file = self.config_file.clone();
        (&last.name, SshOptions { config_file, jumps, ..SshOptions::default() })
    }
}

/// Writes the hops, separated by commas.
impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hops.fmt(f)
    }
}

impl FromStr for JumpList {
    type Err = InvalidJumpList;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::default());
        }
        let read = |text: &str| match text.parse() {
            Ok(name) => Ok(JumpHost { text: text.to_owned(), name }),
            Err(why) => Err(InvalidJumpList::Host { text: printable(text, 80, Lines::One), why }),
        };
        let hops = text.split(',').map(read).collect::<Result<Vec<_>, _>>()?;
        if hops.len() > MAX_HOPS {
            return Err(InvalidJumpList::TooMany);
        }
        Ok(Self(hops))
    }
}

impl fmt::Display for JumpList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, hop) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { "," }, hop.text)?;
        }
        Ok(())
    }
}

/// Replaces the tokens of `ProxyCommand` and `ProxyJump` (`ssh_config(5)`, TOKENS), including `%k`, which
/// `ssh` supports as well.
fn with_tokens(
    keyword: &'static str,
    text: &str,
    tokens: &Tokens<'_>,
) -> Result<String, ConfigError> {
    replaced(text, |token| {
        Ok(match token {
            Some('%') => "%".into(),
            Some('h') => harmless(keyword, tokens.host_name)?.into(),
            Some('k') => harmless(keyword, tokens.host_key_alias.unwrap_or(tokens.name))?.into(),
            Some('n') => harmless(keyword, tokens.name)?.into(),
            Some('r') => harmless_user(keyword, tokens.user)?.into(),
            Some('p') => tokens.port.to_string().into(),
            other => {
                let token = other.unwrap_or('%').escape_default().to_string();
                return Err(ConfigError::Token { keyword, token });
            }
        })
    })
}

/// Rejects values that are more than a word to a shell, as newer versions of `ssh` do: the shell
/// reads what replaces a token, and names may come from a link that somebody clicked on.
fn harmless<'a>(keyword: &'static str, value: &'a str) -> Result<&'a str, ConfigError> {
    if value
        .contains(|c: char| c.is_control() || c.is_whitespace() || "'`\"$\\;&<>|(){}".contains(c))
    {
        return Err(invalid(keyword, value));
    }
    Ok(value)
}

/// Rejects user names that newer versions of `ssh` reject; a domain may precede the name.
fn harmless_user<'a>(keyword: &'static str, value: &'a str) -> Result<&'a str, ConfigError> {
    let flag = |pair: &[u8]| pair[0].is_ascii_whitespace() && pair[1] == b'-';
    if value.starts_with('-')
        || value.ends_with('\\')
        || value.contains(|c: char| c.is_control() || "'`\";&<>|(){}".contains(c))
        || value.as_bytes().windows(2).any(flag)
    {
        return Err(invalid(keyword, value));
    }
    Ok(value)
}

/// The route. Of `ProxyJump` and `ProxyCommand`, whichever is set first applies.
pub(super) fn way(
    settings: &Settings,
    options: &SshOptions,
    tokens: &Tokens<'_>,
) -> Result<Way, ConfigError> {
    let Some((keyword, value)) = settings.first_of(["proxyjump", "proxycommand"]) else {
        return Ok(Way::Direct);
    };
    if value.is_empty() || value.eq_ignore_ascii_case("none") {
        return Ok(Way::Direct);
    }
    let tokens = &Tokens { host_key_alias: settings.first("hostkeyalias"), ..*tokens };
    if keyword == "proxycommand" {
        return Ok(Way::Command(with_tokens("ProxyCommand", value, tokens)?));
    }
    let hops = with_tokens("ProxyJump", value, tokens)?.parse().map_err(ConfigError::Jump)?;
    Ok(Way::Jump(Jump { hops, config_file: options.config_file.clone() }))
}

/// The source address. An address takes precedence over an interface, as in `ssh`.
pub(super) fn origin(settings: &Settings) -> Origin {
    let set = |keyword| settings.first(keyword).filter(|v| !v.is_empty() && *v != "none");
    match (set("bindaddress"), set("bindinterface")) {
        (Some(address), _) => Origin::Address(address.to_owned()),
        (None, Some(interface)) => Origin::Interface(interface.to_owned()),
        (None, None) => Origin::Any,
    }
}

/// Reads two values: bytes, with an optional unit, and a time; `default`, `none` or 0 stand for no limit.
pub(super) fn rekey_limit(settings: &Settings) -> Result<RekeyLimit, ConfigError> {
    let value = settings.first("rekeylimit").unwrap_or("default none");
    let unreadable = || invalid("RekeyLimit", value);
    let mut words = value.split_whitespace();
    let bytes = match words.next() {
        None | Some("default" | "none") => 0,
        Some(text) => parse_bytes(text).ok_or_else(unreadable)?,
    };
    let seconds = match words.next() {
        None | Some("none") => 0,
        Some(text) => parse_time(text).ok_or_else(unreadable)?,
    };
    Ok(RekeyLimit {
        bytes: (bytes != 0).then_some(bytes),
        age: (seconds != 0).then(|| Duration::from_secs(seconds)),
    })
}

/// Parses `500`, `64K`, `1G`.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Rejects `ProxyUseFdpass` beside a `ProxyCommand`, which would pass a descriptor instead of carrying the data.
pub(super) fn refuse_descriptors(settings: &Settings, way: &Way) -> Result<(), ConfigError> {
    match way {
        Way::Command(_) if settings.switch("proxyusefdpass", Switch::Off).is_on() => {
            Err(ConfigError::DescriptorPassing)
        }
        Way::Command(_) | Way::Direct | Way::Jump(_) => Ok(()),
    }
}

/// The most hops: each costs a login and a round trip.
const MAX_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openssh::client_config::local::Local;

    fn way_as(user: &str, lines: &str) -> Result<Way, ConfigError> {
        let options = SshOptions { config_file: Some("f".into()), ..SshOptions::default() };
        let (local, name, host_name) = (Local::default(), "alias", "real.host");
        let tokens = Tokens { name, host_name, port: 7, user, ..Tokens::of(&local) };
        way(&Settings::from_lines(lines), &options, &tokens)
    }

    fn way_of(lines: &str) -> Result<Way, ConfigError> {
        way_as("me", lines)
    }

    #[test]
    fn the_first_of_jump_and_command_applies() {
        for direct in
            ["", "proxyjump none\n", "proxycommand NONE\n", "proxyjump none\nproxycommand x\n"]
        {
            assert_eq!(way_of(direct).expect(direct), Way::Direct, "{direct}");
        }
        let command =
            way_of("proxycommand nc -q %% %h:%p %n %r %k\nproxyjump a\n").expect("a command");
        assert_eq!(command, Way::Command("nc -q % real.host:7 alias me alias".into()));
        let command = way_of("hostkeyalias known\nproxycommand nc %k\n").expect("a command");
        assert_eq!(command, Way::Command("nc known".into()));
        let jump = way_of("proxyjump u@%n-jump:22,ssh://[::1]:24\nproxycommand x\n");
        let Way::Jump(jump) = jump.expect("a jump") else { panic!("no jump") };
        let (last, options) = jump.last();
        assert_eq!((last.host.as_str(), last.port), ("::1", Some(24)));
        assert_eq!(options.jumps.expect("one before").to_string(), "u@alias-jump:22");
        assert_eq!(options.config_file, Some("f".into()));
    }

    #[test]
    fn one_hop_is_reached_as_its_own_configuration_says() {
        let Way::Jump(jump) = way_of("proxyjump a\n").expect("a jump") else { panic!("no jump") };
        assert_eq!(jump.last().1.jumps, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let told = |lines: &str| way_of(lines).expect_err(lines).to_string();
        assert!(told("proxycommand nc %d\n").contains("the token %d"));
        assert!(told("proxycommand nc %").contains("the token %%"));
        assert!(told("proxyjump a,,b\n").contains("is empty"));
        assert!(told("proxyjump a:0\n").contains("from 1 to 65535"));
        // A shell would run it.
        for evil in ["x;reboot", "a\\", "-oX", "a -b", "a`b`", "a'b", "a|b"] {
            way_as(evil, "proxycommand nc %r\n").expect_err(evil);
        }
        let command = way_as("CORP\\alice", "proxycommand nc %r\n").expect("a user");
        assert_eq!(command, Way::Command("nc CORP\\alice".into()));
        way_as("x;reboot", "proxycommand nc %h\n").expect("it is not put in");
    }

    #[test]
    fn lists_of_servers() {
        let read = |text: &str| text.parse::<JumpList>();
        assert_eq!(read("none"), Ok(JumpList::default()));
        assert_eq!(JumpList::default().to_string(), "none");
        assert_eq!(read("a,b:1,c@d").expect("three").to_string(), "a,b:1,c@d");
        assert!(matches!(read(""), Err(InvalidJumpList::Host { .. })));
        assert!(matches!(read("-x"), Err(InvalidJumpList::Host { .. })));
        assert_eq!(read(&vec!["a"; 17].join(",")), Err(InvalidJumpList::TooMany));
    }

    #[test]
    fn limits_of_keys() {
        let read =
            |value: &str| rekey_limit(&Settings::from_lines(&format!("rekeylimit {value}\n")));
        let limit = |bytes, seconds: Option<u64>| RekeyLimit {
            bytes,
            age: seconds.map(Duration::from_secs),
        };
        for (value, expected) in [
            ("0 0", limit(None, None)),
            ("default none", limit(None, None)),
            ("1073741824 3600", limit(Some(1 << 30), Some(3600))),
            ("64M 1h", limit(Some(64 << 20), Some(3600))),
            ("500k", limit(Some(500 << 10), None)),
        ] {
            assert_eq!(read(value).expect(value), expected);
        }
        for value in ["x", "1T", "1G x", "99999999999G"] {
            assert!(matches!(read(value), Err(ConfigError::Invalid { .. })), "{value}");
        }
    }

    #[test]
    fn an_address_counts_before_an_interface() {
        let read = |lines: &str| origin(&Settings::from_lines(lines));
        assert_eq!(read(""), Origin::Any);
        assert_eq!(read("bindinterface lo\n"), Origin::Interface("lo".into()));
        assert_eq!(read("bindinterface lo\nbindaddress ::1\n"), Origin::Address("::1".into()));
    }
}
