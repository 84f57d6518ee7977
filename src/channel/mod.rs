//! A confirmed connection to a target, whichever way it was reached: a channel of an SSH session, or a
//! socket of this machine for a request that goes out directly.
//!
//! The relay reads and writes only this type, so that the promises about ends hold for both.

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

/// A confirmed connection to a target. Dropped before both sides are done, it is cut.
#[derive(Debug)]
pub struct Channel {
    carrier: Carrier,
    /// Its record, where it belongs to a client.
    tracked: Option<Tracked>,
}

/// The carrier of a connection.
#[derive(Debug)]
enum Carrier {
    /// An SSH session.
    Ssh(crate::ssh::Channel),
    /// A socket of this machine.
    Direct(Direct),
}

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Reader {
    carrier: CarrierReader,
    connection: Option<Arc<Connection>>,
}

#[derive(Debug)]
enum CarrierReader {
    Ssh(ChannelReader),
    Direct(DirectReader),
}

/// The half that sends.
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

/// Who else has to wait when a reader stops receiving.
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
    /// The same channel, recorded by `tracked`, which ends with it.
    pub(crate) fn tracked_by(self, tracked: Tracked) -> Self {
        Self { tracked: Some(tracked), ..self }
    }

    /// Its connection's record, where it has one.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.tracked.as_ref().map(|tracked| Arc::clone(tracked.connection()))
    }

    /// Its two halves, which may be used at the same time, and the record of how it ends.
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

    /// Who else has to wait when this reader stops receiving.
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

    /// Sets whether the reader has stopped receiving, and with it the session.
    pub(crate) fn set_held(&self, held: bool) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().set_held(held);
        }
    }

    /// Marks the channel as finished: it no longer counts as load of its session.
    pub(crate) fn finish(&self) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().finish();
        }
    }

    /// Sets whether the client keeps up with the data for it.
    pub(crate) fn set_reading(&self, reading: Reading) {
        if let CarrierReader::Ssh(reader) = &self.carrier {
            reader.lease().set_reading(reading);
        }
    }

    /// Sets how much data waits for the client, in bytes.
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
    /// If it is dropped midway, a part of `data` may have been sent; nothing may be sent after that.
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

    /// Sends the end of the stream.
    pub(crate) async fn send_eof(&self) -> Result<(), ChannelGone> {
        if let Some(connection) = &self.connection {
            connection.half_closed();
        }
        match &self.carrier {
            CarrierWriter::Ssh(writer) => writer.send_eof().await,
            CarrierWriter::Direct(writer) => writer.send_eof().await,
        }
    }

    /// Has the far side close, whose client is gone without an end of the stream. Most targets close at an EOF, and
    /// russh keeps something of each channel that is closed from here first. A target that is reached from here is
    /// reset instead.
    ///
    /// # Errors
    ///
    /// It is not worth waiting for the far side.
    pub(crate) async fn abandon(&self) -> Result<(), ChannelGone> {
        match &self.carrier {
            CarrierWriter::Ssh(writer) => writer.send_eof().await,
            CarrierWriter::Direct(_) => Err(ChannelGone),
        }
    }

    /// Records how long a send waited for room; one that did not wait does not read the clock.
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
