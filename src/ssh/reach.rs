//! A TCP connection to the SSH server: the one name that is resolved on this side, and all of its
//! addresses tried.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::client_config::AddressFamily;
use crate::happy_eyeballs::{interleave, race};

/// Why no address of the server took the connection.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The server's own name did not resolve.
    #[error("the name {host} does not resolve: {reason}")]
    Resolve {
        /// The name that was looked up.
        host: String,
        /// What the resolver said. Not the source: the text is complete, as with the others.
        reason: io::Error,
    },
    /// The name resolved, but not to an address of the family that was asked for.
    #[error("{host} has no {family} address")]
    NoAddress {
        /// The name that was looked up.
        host: String,
        /// The family that was asked for.
        family: AddressFamily,
    },
    /// Every address failed.
    #[error("{}", Attempts(.tried))]
    Connect {
        /// Each address in the order of its failure, with its reason.
        tried: Vec<(SocketAddr, io::Error)>,
    },
}

/// Prints each failed address with its reason.
struct Attempts<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, error)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}connect to {address}: {error}")?;
        }
        Ok(())
    }
}

/// Connects to `host`, a name or an address, with the first address that answers.
///
/// The socket has `TCP_NODELAY` and `SO_KEEPALIVE` (`TCPKeepAlive yes`, OpenSSH's default). There
/// is no time limit here: `ConnectTimeout` is the caller's.
///
/// # Cancel safety
///
/// Dropping the future closes every attempt. A look-up that has begun goes on in a thread of the
/// runtime until the system's resolver gives up; its answer is dropped.
pub(super) async fn connect_tcp(
    host: &str,
    port: u16,
    family: AddressFamily,
) -> Result<TcpStream, ReachError> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|reason| ReachError::Resolve { host: host.to_owned(), reason })?;
    let addresses = interleave(found.filter(|address| family.admits(address)));
    if addresses.is_empty() {
        return Err(ReachError::NoAddress { host: host.to_owned(), family });
    }
    race(addresses).await.map_err(|tried| ReachError::Connect { tried })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    /// An address on loopback where nobody listens: bound and let go.
    async fn refused() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("a bound socket")
    }

    #[tokio::test]
    async fn every_address_is_told_with_its_reason() {
        let (a, b) = (refused().await, refused().await);
        let error = race(vec![a, b]).await.expect_err("nobody listens");
        let text = ReachError::Connect { tried: error }.to_string();
        assert!(text.contains(&format!("connect to {a}: ")), "{text}");
        assert!(text.contains(&format!("connect to {b}: ")), "{text}");
        assert_eq!(text.to_lowercase().matches("refused").count(), 2, "{text}");
    }

    #[tokio::test]
    async fn the_family_is_kept_to() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        connect_tcp("127.0.0.1", port, AddressFamily::Inet).await.expect("it listens");
        connect_tcp("127.0.0.1", port, AddressFamily::Any).await.expect("it listens");
        let error = connect_tcp("127.0.0.1", port, AddressFamily::Inet6).await.expect_err("IPv4");
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
    }
}
