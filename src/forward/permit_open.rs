//! `PermitRemoteOpen`: the destinations on this side that clients of a proxy on a server may reach.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::service;
use crate::destination::Host;
use crate::target::Target;

/// The permission of `PermitRemoteOpen`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PermitOpen {
    /// Everything. OpenSSH's default.
    #[default]
    Any,
    /// Only these; an empty list permits nothing.
    Only(Arc<[Permission]>),
}

/// One entry, `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The host; none for every host.
    host: Option<Host>,
    /// The port; none for every port.
    port: Option<u16>,
}

/// An entry of `PermitRemoteOpen` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not of the form host:port, with * for every host or port")]
pub struct InvalidPermission(pub String);

impl PermitOpen {
    /// Whether a client may reach `target`. Hosts are compared as written, as in ssh: a permission for a name
    /// does not include its address. Clients cannot request sockets.
    pub fn admits(&self, target: &Target) -> bool {
        let Self::Only(permissions) = self else { return true };
        let Target::Host(destination) = target else { return false };
        permissions.iter().any(|permission| {
            permission.host.as_ref().is_none_or(|host| host == destination.host())
                && permission.port.is_none_or(|port| port == destination.port())
        })
    }
}

impl FromStr for PermitOpen {
    type Err = InvalidPermission;

    /// Parses `any`, `none`, or entries separated by spaces (`ssh_config(5)`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["any"] => Ok(Self::Any),
            ["none"] => Ok(Self::Only([].into())),
            entries => {
                entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (host, port) = text.rsplit_once(':')?;
            let host = match host {
                "*" => None,
                // As in ssh, an IPv6 address needs brackets, since its last colon is not the separator.
                host if host.contains(':') && !host.starts_with('[') => return None,
                host => Some(host.parse().ok()?),
            };
            let port = match port {
                "*" => None,
                port => Some(service::port(port).filter(|port| *port != 0)?),
            };
            Some(Self { host, port })
        };
        read().ok_or_else(|| InvalidPermission(text.to_owned()))
    }
}

impl fmt::Display for PermitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Only(permissions) if permissions.is_empty() => f.write_str("none"),
            Self::Only(permissions) => {
                let entries: Vec<_> = permissions.iter().map(ToString::to_string).collect();
                f.write_str(&entries.join(" "))
            }
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => f.write_str("*")?,
            Some(Host::Ip(std::net::IpAddr::V6(ip))) => write!(f, "[{ip}]")?,
            Some(host) => host.fmt(f)?,
        }
        match self.port {
            None => f.write_str(":*"),
            Some(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_destinations_are_permitted() {
        for (text, yes, no) in [
            ("any", &["a:1", "[::1]:2"][..], &[][..]),
            ("none", &[], &["a:1", "127.0.0.1:22"]),
            ("a:80", &["a:80", "A:80", "a.:80"], &["a:81", "b:80", "a.b:80"]),
            ("a:*", &["a:1", "a:65535"], &["b:1"]),
            ("*:80", &["a:80", "[::1]:80"], &["a:81"]),
            ("[::1]:22 10.0.0.1:http", &["[::1]:22", "10.0.0.1:80"], &["[::1]:80", "10.0.0.1:22"]),
            // A name and its address are not interchangeable.
            ("localhost:80", &["localhost:80"], &["127.0.0.1:80", "[::1]:80"]),
            ("127.0.0.1:80", &["127.0.0.1:80"], &["localhost:80", "127.0.0.2:80"]),
        ] {
            let permit: PermitOpen = text.parse().expect(text);
            assert_eq!(permit.to_string().parse(), Ok(permit.clone()));
            for target in yes {
                assert!(permit.admits(&target.parse().expect(target)), "{text}: {target}");
            }
            for target in no {
                assert!(!permit.admits(&target.parse().expect(target)), "{text}: {target}");
            }
        }
        assert!(!PermitOpen::Only([].into()).admits(&Target::Socket("/run/agent".into())));
    }

    #[test]
    fn invalid_entries_are_errors() {
        for text in
            ["a", "a:0", "a:x y", "a:65536", "none a:1", "any none", "::1:22", ":1", "a b:1"]
        {
            assert!(text.parse::<PermitOpen>().is_err(), "{text}");
        }
    }
}
