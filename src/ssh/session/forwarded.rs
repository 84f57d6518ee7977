//! A connection that the server has accepted for us, not yet answered.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use russh::ChannelOpenFailure;
use russh::client::{ChannelOpenHandle, Msg};
use tokio::sync::OwnedSemaphorePermit;

use super::OpenKind;
use super::channel::Channel;
use super::load::Load;

/// A connection to a `RemoteListener`, which the server wants to hand on.
/// Nothing arrives on it before it is accepted; dropped, it is refused.
pub struct Forwarded {
    pub(crate) arrival: Arrival,
    pub(crate) load: Arc<Load>,
    /// Its place among those that wait for an answer.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What the server says of a channel that it wants to open, and the means to answer.
pub(crate) struct Arrival {
    /// Where the connection came in, in the server's words.
    pub(crate) at: At,
    /// Where it came from, in the server's words; none for a unix socket.
    pub(crate) origin: Option<(String, u32)>,
    pub(crate) channel: russh::Channel<Msg>,
    pub(crate) reply: ChannelOpenHandle,
}

/// A listener, as the server names it in a request for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// `forwarded-tcpip` (RFC 4254 section 7.2).
    Tcp {
        /// The address that was connected, or that we had asked for: servers differ.
        address: String,
        port: u32,
    },
    /// `forwarded-streamlocal@openssh.com`.
    Socket(String),
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[strum(to_string = "its target cannot be reached")]
    ConnectFailed,
    #[strum(to_string = "a rule forbids it")]
    Prohibited,
    #[strum(to_string = "too many wait already")]
    Full,
}

impl Forwarded {
    /// Where it comes from, as far as the server tells an address: that of the far side's client.
    pub fn origin(&self) -> Option<SocketAddr> {
        let (address, port) = self.arrival.origin.as_ref()?;
        let ip: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(ip, u16::try_from(*port).ok()?))
    }

    /// Where it came in, in the server's words.
    pub(crate) fn at(&self) -> &At {
        &self.arrival.at
    }

    /// Confirms the channel. From now on it must be read: an unread channel blocks its session.
    pub async fn accept(self) -> Channel {
        let lease = self.load.lease(OpenKind::Plain);
        lease.confirmed();
        self.arrival.reply.accept().await;
        Channel::new(self.arrival.channel, lease)
    }

    /// Refuses it. The server closes the connection of the far side's client.
    pub async fn refuse(self, why: Refusal) {
        self.arrival.refuse(why).await;
    }
}

impl Arrival {
    /// Refuses it, at once.
    pub(crate) async fn refuse(self, why: Refusal) {
        self.reply
            .reject(match why {
                Refusal::ConnectFailed => ChannelOpenFailure::ConnectFailed,
                Refusal::Prohibited => ChannelOpenFailure::AdministrativelyProhibited,
                Refusal::Full => ChannelOpenFailure::ResourceShortage,
            })
            .await;
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, port } => write!(f, "{address}:{port}"),
            Self::Socket(path) => f.write_str(path),
        }
    }
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").field("at", &self.arrival.at).finish_non_exhaustive()
    }
}
