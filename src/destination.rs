//! The destination of a request: a host name or an address, and a port.
//!
//! A host has one normal spelling, however the client wrote it, so that rules, caches and logs compare its
//! meaning. Nothing in this module resolves names.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

mod disguise;
#[cfg(test)]
mod spellings;

pub(crate) use disguise::leads_to;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    host: Host,
    port: u16,
}

/// A host in its normal spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower case and ASCII form (IDNA), without a trailing dot; 1 to 253 bytes.
    Name(Arc<str>),
    /// An address. An IPv4-mapped IPv6 address is stored as IPv4.
    Ip(IpAddr),
}

/// Why a text is not a host or a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidDestination {
    #[error("the host name is empty")]
    EmptyHost,
    /// The host is longer than a name can be (RFC 1035 section 2.3.4).
    #[error("the host name is longer than 253 bytes, or one of its labels than 63")]
    HostTooLong,
    #[error("not a host name or an address")]
    InvalidHost,
    #[error("the zone of an IPv6 address is not passed on: leave it out")]
    Zone,
    #[error("port 0 is not a port to connect to")]
    PortZero,
    #[error("the port is missing or not a number from 1 to 65535")]
    InvalidPort,
    #[error("not of the form host:port")]
    InvalidAuthority,
}

impl Destination {
    /// A destination with a port from 1 to 65535.
    pub fn new(host: Host, port: u16) -> Result<Self, InvalidDestination> {
        if port == 0 {
            return Err(InvalidDestination::PortZero);
        }
        Ok(Self { host, port })
    }

    /// Parses a host (an IPv6 address may lack its brackets) and a decimal port, 1 to 65535.
    pub fn from_parts(host: &str, port: &str) -> Result<Self, InvalidDestination> {
        Self::new(host.parse()?, parse_port(port)?)
    }

    /// Parses `host:port` or `[v6]:port`; without a port, `default_port` applies.
    pub fn parse(authority: &str, default_port: Option<u16>) -> Result<Self, InvalidDestination> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) =
                    rest.split_once(']').ok_or(InvalidDestination::InvalidAuthority)?;
                let port = match rest {
                    "" => None,
                    rest => {
                        Some(rest.strip_prefix(':').ok_or(InvalidDestination::InvalidAuthority)?)
                    }
                };
                (Host::parse_ipv6(host)?, port)
            }
            None => match authority.split_once(':') {
                Some((_, rest)) if rest.contains(':') => {
                    return Err(InvalidDestination::InvalidAuthority);
                }
                Some((host, port)) => (host.parse()?, Some(port)),
                None => (authority.parse()?, None),
            },
        };
        let port = match port {
            Some(text) => parse_port(text)?,
            None => default_port.ok_or(InvalidDestination::InvalidPort)?,
        };
        Self::new(host, port)
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl TryFrom<SocketAddr> for Destination {
    type Error = InvalidDestination;

    fn try_from(address: SocketAddr) -> Result<Self, Self::Error> {
        Self::new(Host::from(address.ip()), address.port())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl Host {
    /// Parses an IPv6 address without its brackets.
    fn parse_ipv6(text: &str) -> Result<Self, InvalidDestination> {
        if text.contains('%') {
            return Err(InvalidDestination::Zone);
        }
        text.parse::<Ipv6Addr>()
            .map(|ip| Self::from(IpAddr::V6(ip)))
            .map_err(|_| InvalidDestination::InvalidHost)
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }
}

impl FromStr for Host {
    type Err = InvalidDestination;

    /// Parses a name or an address in any spelling that a browser accepts (the WHATWG host parser): case, IDNA,
    /// a trailing dot, `127.1`, `0x7f000001`; an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text == "." {
            return Err(InvalidDestination::EmptyHost);
        }
        if text.contains(':') {
            let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
            return Self::parse_ipv6(inner.unwrap_or(text));
        }
        // The parser would decode %41 to A, which no client means in a host.
        if text.contains('%') {
            return Err(InvalidDestination::InvalidHost);
        }
        // Long enough for the Unicode spelling of a long name, while bounding the work.
        if text.len() > 4 * MAX_NAME {
            return Err(InvalidDestination::HostTooLong);
        }
        match url::Host::parse(text).map_err(|_| InvalidDestination::InvalidHost)? {
            url::Host::Ipv4(ip) => Ok(Self::Ip(ip.into())),
            url::Host::Ipv6(ip) => Ok(Self::from(IpAddr::V6(ip))),
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                check_name(name)?;
                Ok(Self::Name(name.into()))
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Parses a decimal port, 1 to 65535, digits only.
fn parse_port(text: &str) -> Result<u16, InvalidDestination> {
    if !is_number(text) {
        return Err(InvalidDestination::InvalidPort);
    }
    match text.parse() {
        Ok(0) => Err(InvalidDestination::PortZero),
        Ok(port) => Ok(port),
        Err(_) => Err(InvalidDestination::InvalidPort),
    }
}

/// Whether a text consists only of digits: `+80` is no port.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks the lengths of RFC 1035 section 2.3.4, and that no label is empty.
fn check_name(name: &str) -> Result<(), InvalidDestination> {
    if name.is_empty() {
        return Err(InvalidDestination::EmptyHost);
    }
    if name.len() > MAX_NAME {
        return Err(InvalidDestination::HostTooLong);
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(InvalidDestination::InvalidHost);
        }
        if label.len() > MAX_LABEL {
            return Err(InvalidDestination::HostTooLong);
        }
    }
    Ok(())
}

/// The maximum length of a name without its trailing dot (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
/// The maximum length of a label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> String {
        text.parse::<Host>().expect(text).to_string()
    }

    #[test]
    fn every_host_has_one_normal_spelling() {
        for text in ["Example.COM", "example.com.", "EXAMPLE.com"] {
            assert_eq!(host(text), "example.com");
        }
        assert_eq!(host("Bücher.example"), "xn--bcher-kva.example");
        assert_eq!(host("xn--BCHER-kva.example"), "xn--bcher-kva.example");
        assert_eq!(host("_srv.example"), "_srv.example");
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
        ] {
            assert_eq!(host(text), "127.0.0.1", "{text}");
        }
        assert_eq!(host("2001:DB8:0:0::1"), "2001:db8::1");
    }

    #[test]
    fn errors_state_the_reason() {
        use InvalidDestination::*;
        for (text, why) in [
            ("", EmptyHost),
            (".", EmptyHost),
            ("a..b", InvalidHost),
            ("a b", InvalidHost),
            ("a\0b", InvalidHost),
            ("a\r\nb", InvalidHost),
            ("user@host", InvalidHost),
            ("a/b", InvalidHost),
            ("%41", InvalidHost),
            ("fe80::1%eth0", Zone),
            ("[fe80::1%25eth0]", Zone),
            ("1.2.3.4.5", InvalidHost),
            ("256.0.0.1", InvalidHost),
            ("::1::", InvalidHost),
        ] {
            assert_eq!(text.parse::<Host>(), Err(why), "{text:?}");
        }
        let long_label = "a".repeat(64);
        assert_eq!(long_label.parse::<Host>(), Err(HostTooLong));
        let long_name = vec!["a".repeat(63); 4].join(".");
        assert_eq!(long_name.parse::<Host>(), Err(HostTooLong));
    }

    #[test]
    fn authorities() {
        use InvalidDestination::*;
        let parse = |text| Destination::parse(text, None).map(|d| d.to_string());
        assert_eq!(parse("Example.com:443"), Ok("example.com:443".into()));
        assert_eq!(parse("[::1]:80"), Ok("[::1]:80".into()));
        assert_eq!(parse("127.1:080"), Ok("127.0.0.1:80".into()));
        for (text, why) in [
            ("example.com", InvalidPort),
            ("example.com:", InvalidPort),
            ("example.com:0", PortZero),
            ("example.com:65536", InvalidPort),
            ("example.com:+80", InvalidPort),
            ("example.com:80:80", InvalidAuthority),
            ("::1:80", InvalidAuthority),
            ("[::1]80", InvalidAuthority),
            ("[::1", InvalidAuthority),
            ("[example.com]:80", InvalidHost),
            (":80", EmptyHost),
            ("user@example.com:80", InvalidHost),
        ] {
            assert_eq!(parse(text), Err(why), "{text:?}");
        }
        let default = Destination::parse("example.com", Some(80)).expect("a default port");
        assert_eq!(default.port(), 80);
    }

    proptest! {
        #[test]
        fn destinations_print_what_they_parse(
            name in "[a-z]{1,20}(\\.[a-z]{1,20}){0,3}", port in 1_u16..,
        ) {
            let text = format!("{name}:{port}");
            let parsed = Destination::parse(&text, None);
            prop_assert_eq!(parsed.map(|d| d.to_string()), Ok(text));
        }
    }
}
