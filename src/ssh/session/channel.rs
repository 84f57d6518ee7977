//! A forwarded connection on a session.
//!
//! russh's own stream types report the end of a session as EOF. Here the two are distinguished: the server
//! sends [`Incoming::Eof`] and [`Incoming::Close`], and an end without them is a cut.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::timeout;

use super::leftover::Leftover;
use super::load::Lease;
use super::outflow::Turn;

/// A confirmed channel. If dropped before the server has closed it, it is closed from here.
#[derive(Debug)]
pub struct Channel {
    reader: ChannelReader,
    writer: ChannelWriter,
}

/// The receiving half.
#[derive(Debug)]
pub struct ChannelReader {
    half: ChannelReadHalf,
    lease: Arc<Lease>,
}

/// The sending half.
#[derive(Debug)]
pub struct ChannelWriter {
    /// Shared with the task that closes the channel.
    half: Arc<ChannelWriteHalf<Msg>>,
    turn: Turn,
    lease: Arc<Lease>,
}

/// What the server sent on a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes, at least one.
    Data(Bytes),
    /// The far side sends nothing more, but may still receive.
    Eof,
    /// The channel is closed.
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

    /// Its two halves, which may be used concurrently.
    pub fn split(self) -> (ChannelReader, ChannelWriter) {
        (self.reader, self.writer)
    }

    /// Closes an unwanted channel gracefully, by sending EOF: most targets close then, and russh leaks memory
    /// for each channel that is closed from here first. After [`GRACE`], or if the target goes on sending, it is
    /// closed from here.
    pub(crate) async fn close_gracefully(mut self) {
        self.reader.lease.finish();
        let leave = async {
            if self.writer.send_eof().await.is_err() {
                return;
            }
            let mut rest = Leftover::default();
            while rest.goes_on(self.reader.recv().await.as_ref()) {}
        };
        let _ = timeout(GRACE, leave).await;
    }
}

impl ChannelReader {
    /// The next event from the server; `None` is a cut.
    ///
    /// The owner of a reader must poll it whenever it is ready: a full queue (1 024 messages) of one channel
    /// blocks the whole session.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            // The future has no state of its own: a message stays in the queue until it is returned.
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
                // Empty data, window adjustments and extended data do not matter to a forwarded connection.
                Some(_) => continue,
            });
        }
    }

    /// The next event from the server; `None` is a cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Incoming> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The channel's share of its session's load.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl ChannelWriter {
    /// Sends `data`, waiting for the server's window and for data that other channels have queued.
    ///
    /// # Cancel safety
    ///
    /// If dropped midway, a part of `data` may have been sent; nothing may be sent after that.
    pub async fn send(&self, data: Bytes) -> Result<(), ChannelGone> {
        tokio::select! {
            biased;
            sent = self.send_all(data) => sent,
            // The window of a closed channel never opens, and its session may never send again.
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
            // Counted before the next ping is sent, which confirms the delivery.
            self.lease.sent(count);
        }
        Ok(())
    }

    /// Sends EOF.
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
        // Closed in a task, since the session may be slow to accept the message. Without a runtime, the session
        // is gone as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let half = Arc::clone(&self.half);
            let closing = async move { drop(half.close().await) };
            self.lease.closers().spawn_on(closing, &runtime);
        }
    }
}

/// How long the server may take to close a channel after EOF.
const GRACE: Duration = Duration::from_secs(1);
