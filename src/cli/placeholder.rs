//! Stand-ins for types of other modules, so that the command line compiles without them. To be
//! deleted when `ssh`, `listen` and `app` are there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// What the command line says about the SSH connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `-F`.
    pub config_file: Option<PathBuf>,
    /// `-o`, in order.
    pub options: Vec<String>,
    /// `-p`.
    pub port: Option<u16>,
    /// `-l`.
    pub user: Option<String>,
    /// `-i`, in order.
    pub identities: Vec<PathBuf>,
    /// `-4` and `-6`.
    pub address_family: Option<AddressFamily>,
}

/// Which addresses of the server to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both.
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// The server as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(String);

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text.rsplit('@').next().unwrap_or(text);
        if host.is_empty() || host.starts_with('-') {
            return Err("the host name is empty or begins with a dash".into());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port; no address stands for every one.
    Tcp(Option<IpAddr>, u16),
    /// A unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp(ip, _) => ip.is_some_and(|ip| ip.is_loopback()),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
        let port = port.parse().map_err(|_| "not a port from 0 to 65535".to_owned())?;
        let ip = match host {
            "*" | "" => None,
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
                Some(v6) => Some(v6.parse::<Ipv6Addr>().map_err(|e| e.to_string())?.into()),
                None => Some(host.parse().map_err(|_| "not an address".to_owned())?),
            },
        };
        Ok(Self::Tcp(ip, port))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(None, port) => write!(f, "*:{port}"),
            Self::Tcp(Some(IpAddr::V6(ip)), port) => write!(f, "[{ip}]:{port}"),
            Self::Tcp(Some(ip), port) => write!(f, "{ip}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Stands in for `crate::app`.
pub mod app {
    use std::future::Future;
    use std::path::PathBuf;

    use super::{ListenAddress, ServerName, SshOptions};

    /// What to run.
    #[derive(Clone, Debug)]
    pub struct Options {
        /// The server.
        pub server: ServerName,
        /// How to reach it.
        pub ssh: SshOptions,
        /// Where to listen.
        pub listeners: Vec<ListenAddress>,
        /// The file with `user:password`.
        pub proxy_auth: Option<PathBuf>,
    }

    /// Why it did not run.
    #[derive(Debug, thiserror::Error)]
    #[error("there is no app yet")]
    pub struct Error;

    /// Runs nothing.
    pub async fn run(
        _options: Options,
        ready: impl FnOnce(),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        ready();
        shutdown.await;
        Ok(())
    }
}
