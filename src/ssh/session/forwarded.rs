//! A connection that arrived at a remote listener and has not been answered yet.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use russh::ChannelOpenFailure;
use russh::client::{ChannelOpenHandle, Msg};
use tokio::sync::OwnedSemaphorePermit;

use super::OpenKind;
use super::channel::Channel;
use super::load::Load;

/// A channel that the server wants to open for a connection to a remote listener. It carries no data before it
/// is accepted; if dropped, it is refused.
pub struct Forwarded {
    pub(crate) arrival: Arrival,
    pub(crate) load: Arc<Load>,
    /// The permit of its place among the unanswered channels.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// The server's request to open a channel, and the means to answer it.
pub(crate) struct Arrival {
    /// The listener, as named by the server.
    pub(crate) at: At,
    /// The address of the far client, as sent by the server; none for a unix socket.
    pub(crate) origin: Option<(String, u32)>,
    pub(crate) channel: russh::Channel<Msg>,
    pub(crate) reply: ChannelOpenHandle,
}

/// A listener as named in the server's request to open a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// `forwarded-tcpip` (RFC 4254 section 7.2).
    Tcp {
        /// The address that was connected to or that the listener was requested with, depending on the server.
        address: String,
        port: u32,
    },
    /// `forwarded-streamlocal@openssh.com`.
    Socket(String),
}

/// Why a connection is refused.
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
    /// The address of the far client, if the server sent a valid one.
    pub fn origin(&self) -> Option<SocketAddr> {
        let (address, port) = self.arrival.origin.as_ref()?;
        let ip: IpAddr = address.parse().ok()?;
        Some(SocketAddr::new(ip, u16::try_from(*port).ok()?))
    }

    /// Confirms the channel. It must be read from then on: an unread channel blocks its session.
    pub async fn accept(self) -> Channel {
        let lease = self.load.lease(OpenKind::Plain);
        lease.confirmed();
        self.arrival.reply.accept().await;
        Channel::new(self.arrival.channel, lease)
    }

    /// Refuses the channel, so that the server closes the far client's connection.
    pub async fn refuse(self, why: Refusal) {
        self.arrival.refuse(why).await;
    }
}

impl Arrival {
    /// Refuses the channel immediately.
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
