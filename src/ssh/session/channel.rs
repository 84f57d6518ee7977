//! One forwarded connection on a session.
//!
//! russh's own stream types read the end of a session as the end of the stream. Here the two
//! are told apart: [`Incoming::Eof`] and [`Incoming::Close`] are what the server said, and their
//! absence is a cut.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::timeout;

use super::load::Lease;
use super::outflow::Turn;

/// A confirmed channel. Dropped before the server has closed it, it is closed from here.
#[derive(Debug)]
pub struct Channel {
    reader: ChannelReader,
    writer: ChannelWriter,
}

/// The half that receives.
#[derive(Debug)]
pub struct ChannelReader {
    half: ChannelReadHalf,
    lease: Arc<Lease>,
}

/// The half that sends.
#[derive(Debug)]
pub struct ChannelWriter {
    /// Shared with the task that closes it.
    half: Arc<ChannelWriteHalf<Msg>>,
    turn: Turn,
    lease: Arc<Lease>,
}

/// What the server sent on a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes, at least one.
    Data(Bytes),
    /// The far side has nothing more to say, but may still listen.
    Eof,
    /// The channel is over.
    Close,
}

/// The session ended, or the channel was closed.
#[derive(Debug, thiserror::Error)]
#[error("the channel is gone")]
pub struct ChannelGone;

impl Channel {
    pub(crate) fn new(channel: russh::Channel<Msg>, lease: Lease) -> Self {
        let (reader, writer) = channel.split();
        let lease = Arc::new(lease);
        Self {
            reader: ChannelReader { half: reader, lease: Arc::clone(&lease) },
            writer: ChannelWriter { half: Arc::new(writer), turn: Turn::default(), lease },
        }
    }

    /// Its two halves, which may be used at the same time.
    pub fn split(self) -> (ChannelReader, ChannelWriter) {
        (self.reader, self.writer)
    }

    /// Has the server close it, of which nobody wants anything: most targets close at an EOF, and russh keeps
    /// something of each channel that is closed from here first. One that is not closed soon is closed from here.
    pub(crate) async fn leave(mut self) {
        self.reader.lease.finish();
        let leave = async {
            if self.writer.send_eof().await.is_err() {
                return;
            }
            while let Some(Incoming::Data(_) | Incoming::Eof) = self.reader.recv().await {}
        };
        let _ = timeout(GRACE, leave).await;
    }
}

impl ChannelReader {
    /// The next thing that the server sent; `None` is a cut.
    ///
    /// The session stands still while a channel's queue is full (1 024 messages), so whoever holds
    /// a reader polls it whenever it is ready.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            // The future keeps no state of its own: a message stays in the queue until it is ready.
            let message = std::task::ready!(pin!(self.half.wait()).poll(cx));
            return Poll::Ready(match message {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    self.lease.received(data.len());
                    Some(Incoming::Data(data))
                }
                Some(ChannelMsg::Eof) => Some(Incoming::Eof),
                Some(ChannelMsg::Close) => {
                    self.lease.closed_by_server();
                    self.lease.set_gone();
                    Some(Incoming::Close)
                }
                None => {
                    self.lease.set_gone();
                    None
                }
                // Empty data, window notices, extended data: nothing for a forwarded connection.
                Some(_) => continue,
            });
        }
    }

    /// The next thing that the server sent; `None` is a cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Incoming> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// How this connection weighs on its session.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl ChannelWriter {
    /// Sends `data`, waiting for the server's window and for what others have sent on the session.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-way, a part of `data` may have been sent; nothing may be sent after that.
    pub async fn send(&self, data: Bytes) -> Result<(), ChannelGone> {
        tokio::select! {
            biased;
            sent = self.send_all(data) => sent,
            // The window of a channel that is no more never opens, and its line need not move again.
            () = self.lease.gone() => Err(ChannelGone),
        }
    }

    async fn send_all(&self, mut data: Bytes) -> Result<(), ChannelGone> {
        let outflow = self.lease.outflow();
        while !data.is_empty() {
            let room = outflow.room(&self.turn, data.len()).await;
            let piece = data.split_to(room);
            let count = piece.len();
            self.half.data_bytes(piece).await.map_err(|_| ChannelGone)?;
            // What counts lies before the next question to the server.
            self.lease.sent(count);
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub async fn send_eof(&self) -> Result<(), ChannelGone> {
        self.half.eof().await.map_err(|_| ChannelGone)
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        if self.lease.is_closed_by_server() {
            return;
        }
        self.lease.closed_by_us();
        // A task of its own, since the session may take its time to accept the message. Without a
        // runtime there is no session left to tell.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let half = Arc::clone(&self.half);
            let closing = async move { drop(half.close().await) };
            self.lease.closers().spawn_on(closing, &runtime);
        }
    }
}

/// How long the server may take to close a channel after an EOF.
const GRACE: Duration = Duration::from_secs(1);
