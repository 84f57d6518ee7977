//! The address of the dashboard as the user writes it.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::ListenAddress;
use super::exposure::{self, Guard, Offer, OpenToAll, Reach};
use super::listen_address::{Bind, InvalidListenAddress};

/// The address of a dashboard: a port that no other machine can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardAddress(ListenAddress);

/// Why a dashboard cannot listen on an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidDashboardAddress {
    #[error(transparent)]
    Address(#[from] InvalidListenAddress),
    #[error("a browser needs a port, and none reaches a unix socket")]
    Unix,
    #[error(
        "other machines could reach the dashboard; let it listen on loopback, and lead them there by an \
         SSH forward"
    )]
    Exposed,
}

impl DashboardAddress {
    /// The address to bind.
    pub fn listen(&self) -> &ListenAddress {
        &self.0
    }
}

impl Default for DashboardAddress {
    /// Port 9090 of 127.0.0.1, the default of Clash dashboards.
    fn default() -> Self {
        let bind = Bind::Address(Ipv4Addr::LOCALHOST.into());
        Self(ListenAddress::Tcp { bind, port: 9090 })
    }
}

impl FromStr for DashboardAddress {
    type Err = InvalidDashboardAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: ListenAddress = text.parse()?;
        if matches!(address, ListenAddress::Unix(_)) {
            return Err(InvalidDashboardAddress::Unix);
        }
        // The token is sent unencrypted.
        exposure::admit(Reach::of(&address), Offer::Control, Guard::Password)
            .map_err(|OpenToAll| InvalidDashboardAddress::Exposed)?;
        Ok(Self(address))
    }
}

impl fmt::Display for DashboardAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_cannot_reach_it() {
        for text in ["9090", "0", "localhost:1", "127.0.0.1:1", "127.3.2.1:1", "[::1]:1"] {
            assert!(text.parse::<DashboardAddress>().is_ok(), "{text}");
        }
        for text in ["*:9090", ":9090", "0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[fd00::1]:1"] {
            let refused = text.parse::<DashboardAddress>();
            assert_eq!(refused, Err(InvalidDashboardAddress::Exposed), "{text}");
        }
        let unix = "/run/dashboard.sock".parse::<DashboardAddress>();
        assert_eq!(unix, Err(InvalidDashboardAddress::Unix));
        assert!("http://localhost:1".parse::<DashboardAddress>().is_err());
        assert_eq!(DashboardAddress::default().to_string(), "127.0.0.1:9090");
    }
}
