//! A confirmed connection to a target, whichever way it was reached: a channel of an SSH session, or a
//! socket of our own for a request that goes direct.
//!
//! The relay reads and writes this type alone, so that the promises about ends hold for both.

mod direct;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

pub use self::direct::Direct;
use self::direct::{DirectReader, DirectWriter};
pub use crate::ssh::{ChannelGone, Incoming};
use crate::ssh::{ChannelReader, ChannelWriter, Pace};

/// A confirmed connection to a target. Dropped before both sides are done, it is cut.
#[derive(Debug)]
pub enum Channel {
    /// Over an SSH session.
    Ssh(crate::ssh::Channel),
    /// From here.
    Direct(Direct),
}

/// The half that receives.
#[derive(Debug)]
pub(crate) enum Reader {
    Ssh(ChannelReader),
    Direct(DirectReader),
}

/// The half that sends.
#[derive(Debug)]
pub(crate) enum Writer {
    Ssh(ChannelWriter),
    Direct(DirectWriter),
}

/// Who else has to wait when a reader stops taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody ever: the connection is its own, and TCP pushes back to the target.
    Never,
    /// Nobody now: no other channel shares the session.
    Alone,
    /// Those that share the session.
    Shared,
}

impl Channel {
    /// Its two halves, which may be used at the same time.
    pub(crate) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Ssh(channel) => {
                let (reader, writer) = channel.split();
                (Reader::Ssh(reader), Writer::Ssh(writer))
            }
            Self::Direct(direct) => {
                let (reader, writer) = direct.split();
                (Reader::Direct(reader), Writer::Direct(writer))
            }
        }
    }
}

impl From<crate::ssh::Channel> for Channel {
    fn from(channel: crate::ssh::Channel) -> Self {
        Self::Ssh(channel)
    }
}

impl From<Direct> for Channel {
    fn from(direct: Direct) -> Self {
        Self::Direct(direct)
    }
}

impl Reader {
    /// The next thing that the far side sent; `None` is a cut.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        match self {
            Self::Ssh(reader) => reader.poll_recv(cx),
            Self::Direct(reader) => reader.poll_recv(cx),
        }
    }

    /// The next thing that the far side sent; `None` is a cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn recv(&mut self) -> Option<Incoming> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Who else has to wait when this reader stops taking.
    pub(crate) fn sharing(&self) -> Sharing {
        match self {
            Self::Ssh(reader) if reader.lease().is_alone() => Sharing::Alone,
            Self::Ssh(_) => Sharing::Shared,
            Self::Direct(_) => Sharing::Never,
        }
    }

    /// Completes when another channel comes to the session.
    pub(crate) fn joined(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Ssh(reader) => Box::pin(reader.lease().joined()),
            Self::Direct(_) => Box::pin(std::future::pending()),
        }
    }

    /// Whether the reader has stopped taking anything, and with it the session.
    pub(crate) fn set_held(&self, held: bool) {
        if let Self::Ssh(reader) = self {
            reader.lease().set_held(held);
        }
    }

    /// Whether the client keeps up with what arrives for it.
    pub(crate) fn set_pace(&self, pace: Pace) {
        if let Self::Ssh(reader) = self {
            reader.lease().set_pace(pace);
        }
    }
}

impl Writer {
    /// Sends `data`, waiting for room.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, a part of `data` may have been sent; nothing may be sent after that.
    pub(crate) async fn send(&self, data: Bytes) -> Result<(), ChannelGone> {
        match self {
            Self::Ssh(writer) => writer.send(data).await,
            Self::Direct(writer) => writer.send(data).await,
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn send_eof(&self) -> Result<(), ChannelGone> {
        match self {
            Self::Ssh(writer) => writer.send_eof().await,
            Self::Direct(writer) => writer.send_eof().await,
        }
    }
}
