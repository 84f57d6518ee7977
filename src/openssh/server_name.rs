//! The name of an SSH server, as users write it: `[user@]host[:port]` or `ssh://[user@]host[:port]`.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::forward::service;
use crate::printable::{Lines, printable};

/// An SSH server as the user typed it. The host may be an alias that only `ssh_config` knows.
///
/// `FromStr` accepts what `ssh` accepts, and `host:port` as well. The last `@` ends the user name.
/// A host with two or more colons is an IPv6 literal; with a port it must be in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName {
    /// The user to log in as, if given.
    pub user: Option<String>,
    /// A host name, an address without brackets, or an alias of `ssh_config`. Never empty, never
    /// with a leading `-`, and free of white space, control characters and shell metacharacters.
    pub host: String,
    /// The port, 1 to 65535, if given.
    pub port: Option<u16>,
}

/// Why a text is not a server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidServerName {
    #[error("the host name of the server is empty")]
    EmptyHost,
    /// The host starts with `-`, which programs take for a flag.
    #[error("a host name cannot start with '-': '{0}'")]
    LeadingDash(String),
    #[error("not a host name: '{0}'")]
    InvalidHost(String),
    #[error("the user name before '@' is empty, starts with '-' or has control characters")]
    InvalidUser,
    #[error("the port must be a number from 1 to 65535 or a service of /etc/services, not '{0}'")]
    InvalidPort(String),
    /// Unbalanced brackets, brackets around something other than IPv6, or text after them.
    #[error("an IPv6 address needs brackets, as in [2001:db8::1]:22")]
    InvalidBrackets,
    #[error("a server has no path: ssh://[user@]host[:port] is all there is")]
    Path,
    #[error("a password does not belong on a command line; it is asked for when it is needed")]
    Password,
}

impl FromStr for ServerName {
    type Err = InvalidServerName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("ssh://") {
            Some(rest) => parse_uri(rest),
            None => parse_plain(text),
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

fn parse_plain(text: &str) -> Result<ServerName, InvalidServerName> {
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(check_user(user.to_owned())?), place),
        None => (None, text),
    };
    let bare_ipv6 = !place.starts_with('[') && place.matches(':').count() > 1;
    let (host, port) = if bare_ipv6 { (check_ipv6(place)?, None) } else { parse_place(place)? };
    Ok(ServerName { user, host, port })
}

fn parse_uri(rest: &str) -> Result<ServerName, InvalidServerName> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(InvalidServerName::Path);
    }
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => return Err(InvalidServerName::Password),
        Some((user, place)) => (Some(check_user(percent_decode(user)?)?), place),
        None => (None, rest),
    };
    let (host, port) = parse_place(place)?;
    Ok(ServerName { user, host, port })
}

/// Parses `host`, `host:port`, `[host]` or `[host]:port`.
fn parse_place(place: &str) -> Result<(String, Option<u16>), InvalidServerName> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidServerName::InvalidBrackets)?;
        // As in ssh, brackets may surround any host.
        let host = if host.contains(':') {
            check_ipv6(host).map_err(|_| InvalidServerName::InvalidBrackets)?
        } else {
            check_host(host)?
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if rest.is_empty() => None,
            None => return Err(InvalidServerName::InvalidBrackets),
        };
        return Ok((host, port));
    }
    match place.split_once(':') {
        Some((host, port)) => Ok((check_host(host)?, Some(parse_port(port)?))),
        None => Ok((check_host(place)?, None)),
    }
}

/// Rejects the characters that newer versions of `ssh` reject in a host name, and brackets. A slash is
/// allowed: some use `Host */*` to write a gateway and the host behind it.
fn check_host(host: &str) -> Result<String, InvalidServerName> {
    let quoted = || printable(host, 80, Lines::One);
    if host.is_empty() {
        return Err(InvalidServerName::EmptyHost);
    }
    if host.starts_with('-') {
        return Err(InvalidServerName::LeadingDash(quoted()));
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || "'`\"$\\;&<>|(){}[]".contains(c);
    if host.contains(bad) {
        return Err(InvalidServerName::InvalidHost(quoted()));
    }
    Ok(host.to_owned())
}

/// Checks an IPv6 address, with a zone (`fe80::1%eth0`) or without.
fn check_ipv6(host: &str) -> Result<String, InvalidServerName> {
    let address = host.split_once('%').map_or(host, |(address, _)| address);
    if address.parse::<Ipv6Addr>().is_err() || host.ends_with('%') {
        return Err(InvalidServerName::InvalidHost(printable(host, 80, Lines::One)));
    }
    check_host(host)
}

fn check_user(user: String) -> Result<String, InvalidServerName> {
    if user.is_empty() || user.starts_with('-') || user.contains(char::is_control) {
        return Err(InvalidServerName::InvalidUser);
    }
    Ok(user)
}

fn parse_port(text: &str) -> Result<u16, InvalidServerName> {
    service::port(text)
        .filter(|port| *port != 0)
        .ok_or_else(|| InvalidServerName::InvalidPort(printable(text, 20, Lines::One)))
}

/// Decodes `%40` and the like (RFC 3986 section 2.1), which is how a URI's user contains an `@`.
fn percent_decode(text: &str) -> Result<String, InvalidServerName> {
    let is_code = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_code) {
        return Err(InvalidServerName::InvalidUser);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| InvalidServerName::InvalidUser)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::InvalidServerName as Invalid;
    use super::*;

    fn name(user: Option<&str>, host: &str, port: Option<u16>) -> ServerName {
        ServerName { user: user.map(Into::into), host: host.into(), port }
    }

    #[test]
    fn names_are_read_as_ssh_users_type_them() {
        for (text, expected) in [
            ("host", name(None, "host", None)),
            ("me@host", name(Some("me"), "host", None)),
            ("host:2222", name(None, "host", Some(2222))),
            ("me@host.example:22", name(Some("me"), "host.example", Some(22))),
            ("me@corp.example@host", name(Some("me@corp.example"), "host", None)),
            ("DOMAIN\\me@host", name(Some("DOMAIN\\me"), "host", None)),
            ("a:b@host:1", name(Some("a:b"), "host", Some(1))),
            ("::1", name(None, "::1", None)),
            ("me@fe80::1%eth0", name(Some("me"), "fe80::1%eth0", None)),
            ("[::1]:22", name(None, "::1", Some(22))),
            ("me@[2001:db8::1]", name(Some("me"), "2001:db8::1", None)),
            ("[127.0.0.1]:22", name(None, "127.0.0.1", Some(22))),
            ("ssh://me@[host]", name(Some("me"), "host", None)),
            ("ssh://host", name(None, "host", None)),
            ("ssh://host/", name(None, "host", None)),
            ("ssh://me@host:65535", name(Some("me"), "host", Some(65535))),
            ("ssh://me%40corp@[::1]:1", name(Some("me@corp"), "::1", Some(1))),
            ("under_score", name(None, "under_score", None)),
            ("gw/target", name(None, "gw/target", None)),
            ("me@gw/target:7", name(Some("me"), "gw/target", Some(7))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_name_is_explained() {
        let host = |text: &str| Invalid::InvalidHost(text.into());
        let port = |text: &str| Invalid::InvalidPort(text.into());
        for (text, why) in [
            ("", Invalid::EmptyHost),
            ("me@", Invalid::EmptyHost),
            (":22", Invalid::EmptyHost),
            ("ssh://", Invalid::EmptyHost),
            ("@host", Invalid::InvalidUser),
            ("-l@host", Invalid::InvalidUser),
            ("a\nb@host", Invalid::InvalidUser),
            ("ssh://%0a@host", Invalid::InvalidUser),
            ("ssh://%zz@host", Invalid::InvalidUser),
            ("ssh://%4@host", Invalid::InvalidUser),
            ("ssh://%ff@host", Invalid::InvalidUser),
            ("-oProxyCommand=x", Invalid::LeadingDash("-oProxyCommand=x".into())),
            ("me@-host", Invalid::LeadingDash("-host".into())),
            ("ho st", host("ho st")),
            ("ho\x1bst", host("ho\\u{1b}st")),
            ("ho$(x)", host("ho$(x)")),
            ("1:2:3", host("1:2:3")),
            ("fe80::1%", host("fe80::1%")),
            ("host:", port("")),
            ("host:0", port("0")),
            ("host:65536", port("65536")),
            ("host:+1", port("+1")),
            ("host: 1", port(" 1")),
            ("[::1]22", Invalid::InvalidBrackets),
            ("[::1", Invalid::InvalidBrackets),
            ("[a:b]:22", Invalid::InvalidBrackets),
            ("[]:22", Invalid::EmptyHost),
            ("[-x]:22", Invalid::LeadingDash("-x".into())),
            ("ssh://host/path", Invalid::Path),
            ("ssh://host?x", Invalid::Path),
            ("ssh://me:secret@host", Invalid::Password),
            ("ssh://::1", Invalid::EmptyHost),
        ] {
            assert_eq!(text.parse::<ServerName>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_refused_password_is_not_in_the_message() {
        let error = "ssh://me:secret@host".parse::<ServerName>().expect_err("a password");
        assert!(!error.to_string().contains("secret"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<ServerName>();
            let _ = format!("ssh://{text}").parse::<ServerName>();
        }

        #[test]
        fn what_is_printed_reads_the_same(
            user in proptest::option::of("[a-z][a-z@:.]{0,10}"),
            host in "[a-z0-9][a-z0-9.-]{0,20}|::1|2001:db8::[1-9]",
            port in proptest::option::of(1_u16..),
        ) {
            let name = ServerName { user, host, port };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
