//! A confirmed connection to a target, however it is reached: a channel of an SSH session, or a local socket
//! for a request that goes out directly.
//!
//! The relay uses only this type, so that the promises about ends hold for both.

mod direct;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

pub use self::direct::Direct;
use self::direct::{DirectReader, DirectWriter};
use crate::registry::{Connection, Tracked, Waiting};
pub use crate::ssh::{ChannelGone, Incoming};
use crate::ssh::{ChannelReader, ChannelWriter, Reading};

/// A confirmed connection to a target. It is cut if dropped before both sides are done.
#[derive(Debug)]
pub struct Channel {
    carrier: Carrier,
    /// Its record, if it belongs to a client.
    tracked: Option<Tracked>,
}

/// What carries a connection.
#[derive(Debug)]
enum Carrier {
    /// An SSH session.
    Ssh(crate::ssh::Channel),
    /// A socket of this machine.
    Direct(Direct),
}

/// The receiving half.
pub(crate) struct Reader {
    carrier: CarrierReader,
    connection: Option<Arc<Connection>>,
}

enum CarrierReader {
    Ssh(ChannelReader),
    Direct(DirectReader),
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Writer {
    carrier: CarrierWriter,
    connection: Option<Arc<Connection>>,
}

#[derive(Debug)]
enum CarrierWriter {
    Ssh(ChannelWriter),
    Direct(DirectWriter),
}

/// Which other channels are blocked when a reader stops receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// None ever: the connection has a socket of its own, and TCP pushes back to the target.
    Never,
    /// None now: no other channel shares the session.
    Alone,
    /// Those that share the session.
    Shared,
}

impl Channel {
    /// The same channel, recorded by `tracked`, which ends with it.
    pub(crate) fn tracked_by(self, tracked: Tracked) -> Self {
        Self { tracked: Some(tracked), ..self }
    }

    /// The record of its connection, if it has one.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.tracked.as_ref().map(|tracked| Arc::clone(tracked.connection()))
    }

    /// Its two halves, which may be used concurrently, and the record of how it ends.
    pub(crate) fn split(self) -> (Reader, Writer, Option<Tracked>) {
        let connection = self.connection();
        let (reader, writer) = match self.carrier {
            Carrier::Ssh(channel) => {
                let (reader, writer) = channel.split();
                (CarrierReader::Ssh(reader), CarrierWriter::Ssh(writer))
            }
            Carrier::Direct(direct) => {
                let (reader, writer) = direct.split();
                (CarrierReader::Direct(reader), CarrierWriter::Direct(writer))
            }
        };
        let reader = Reader { carrier: reader, connection: connection.clone() };
        (reader, Writer { carrier: writer, connection }, self.tracked)
    }
}

impl From<crate::ssh::Channel> for Channel {
    fn from(channel: crate::ssh::Channel) -> Self {
        Self { carrier: Carrier::Ssh(channel), tracked: None }
    }
}

impl From<Direct> for Channel {
    fn from(direct: Direct) -> Self {
        Self { carrier: Carrier::Direct(direct), tracked: None }
    }
}

impl Reader {
    /// The next event from the far side; `None` is a cut.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let polled = match &mut self.carrier {
            CarrierReader::Ssh(reader) => reader.poll_recv(cx),
            CarrierReader::Direct(reader) => reader.poll_recv(cx),
        };
        if let (Poll::Ready(Some(incoming)), Some(connection)) = (&polled, &self.connection) {
            match incoming {
                Incoming::Data(data) => connection.received(data.len()),
                Incoming::Eof | Incoming::Close => connection.half_closed(),
            }
        }
        polled
    }

    /// The next event from the far side; `None` is a cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn recv(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Which other channels are blocked when this reader stops receiving.
    pub(crate) fn sharing(&self) -> Sharing {
        match &self.carrier {
            CarrierReader::Ssh(reader) if reader.lease().is_alone() => Sharing::Alone,
            CarrierReader::Ssh(_) => Sharing::Shared,
            CarrierReader::Direct(_) => Sharing::Never,
        }
    }

    /// Completes when another channel joins the session.
    pub(crate) fn joined(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match &self.carrier {
            CarrierReader::Ssh(reader) => Box::pin(reader.lease().joined()),
            CarrierReader::Direct(_) => Box::pin(std::future::pending()),
        }
    }

    /// Sets whether the reader has stopped receiving, which blocks the session.
    pub(crate) fn set_held(&self, held: bool) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().set_held(held);
        }
    }

    /// Marks the channel as finished, so that it no longer counts towards its session's load.
    pub(crate) fn finish(&self) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().finish();
        }
    }

    /// Sets whether the client keeps up with its data.
    pub(crate) fn set_reading(&self, reading: Reading) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().set_reading(reading);
        }
    }

    /// Sets how much data is queued for the client, in bytes.
    pub(crate) fn set_waiting(&self, waiting: Waiting) {
        if let Some(connection) = &self.connection {
            connection.set_waiting(waiting);
        }
    }
}

impl Writer {
    /// Sends `data`, waiting for room.
    ///
    /// # Cancel safety
    ///
    /// If dropped midway, a part of `data` may have been sent; nothing may be sent after that.
    pub(crate) async fn send(&self, data: Bytes) -> Result<(), ChannelGone> {
        let length = data.len();
        match &self.carrier {
            CarrierWriter::Ssh(writer) => self.clock(writer.send(data)).await?,
            CarrierWriter::Direct(writer) => self.clock(writer.send(data)).await?,
        }
        if let Some(connection) = &self.connection {
            connection.sent(length);
        }
        Ok(())
    }

    /// Sends EOF.
    pub(crate) async fn send_eof(&self) -> Result<(), ChannelGone> {
        if let Some(connection) = &self.connection {
            connection.half_closed();
        }
        match &self.carrier {
            CarrierWriter::Ssh(writer) => writer.send_eof().await,
            CarrierWriter::Direct(writer) => writer.send_eof().await,
        }
    }

    /// Makes the far side close the connection, after the client has gone without EOF. Most targets close on
    /// EOF, and russh leaks memory for each channel that is closed from here first. A direct connection is
    /// reset instead.
    ///
    /// # Errors
    ///
    /// The far side is not worth waiting for.
    pub(crate) async fn abandon(&self) -> Result<(), ChannelGone> {
        match &self.carrier {
            CarrierWriter::Ssh(writer) => writer.send_eof().await,
            CarrierWriter::Direct(_) => Err(ChannelGone),
        }
    }

    /// Records how long a send waited for room; the clock is not read for a send that does not wait.
    async fn clock<T>(&self, send: impl Future<Output = T>) -> T {
        let Some(connection) = &self.connection else { return send.await };
        let mut send = pin!(send);
        let mut waits = None;
        let done = poll_fn(|cx| {
            let polled = send.as_mut().poll(cx);
            if polled.is_pending() {
                waits.get_or_insert_with(Instant::now);
            }
            polled
        })
        .await;
        if let Some(since) = waits {
            connection.stalled_for(since.elapsed());
        }
        done
    }
}
