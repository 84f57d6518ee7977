//! From the channel to the client.
//!
//! Data is received at once, since a channel whose queue is full blocks its whole session. It is queued in
//! memory, then in a file. Only if no other channel shares the session does receiving stop instead: TCP then
//! pushes back to the server, and nothing is spilled. `src/lib.rs` lists the path of a byte.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tracing::warn;

use super::Relayer;
use super::backlog::Backlog;
use super::limits::Share;
use super::spill::Spill;
use crate::channel::{Incoming, Reader, Sharing};
use crate::registry::Waiting;
use crate::ssh::Reading;
use crate::stream::RelayEnd;

/// How the downward direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DownEnd {
    /// The far side sent EOF, and the client has received everything, including the EOF.
    Eof,
    /// As [`Self::Eof`], and the channel is closed in both directions.
    Closed,
    /// As [`Self::Eof`], but the session ended before the channel was closed.
    CutAfterEof,
    /// The session ended before the far side sent EOF.
    Cut,
    /// The client accepts no more data.
    ClientGone,
    /// The data queued for a slow client exceeds the limits.
    NoRoom,
}

/// Forwards everything that the server sends.
pub(super) async fn pump<C: RelayEnd>(
    relayer: &Relayer,
    client: &C,
    reader: &mut Reader,
) -> DownEnd {
    let mut pump = Pump {
        relayer,
        client,
        reader,
        backlog: Backlog::default(),
        spill: None,
        memory: relayer.memory.share(),
        disk: relayer.disk.share(),
        joined: None,
        end: None,
    };
    poll_fn(|cx| pump.poll(cx)).await
}

struct Pump<'a, C> {
    relayer: &'a Relayer,
    client: &'a C,
    reader: &'a mut Reader,
    backlog: Backlog,
    /// The data that follows the backlog.
    spill: Option<Spill>,
    memory: Share,
    disk: Share,
    /// Completes when another channel joins the session; present while receiving is stopped.
    joined: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    end: Option<DownEnd>,
}

/// Why receiving stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Nothing more has arrived, or nothing more will arrive.
    All,
    /// A batch has been received, enough for one write.
    Batch,
    /// The queue is full, and no other channel suffers from the back-pressure.
    Held,
}

impl<C: RelayEnd> Pump<'_, C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<DownEnd> {
        let polled = self.poll_ends(cx);
        self.account();
        polled
    }

    fn poll_ends(&mut self, cx: &mut Context<'_>) -> Poll<DownEnd> {
        loop {
            let taken = self.take(cx);
            if let Some(end @ (DownEnd::Cut | DownEnd::NoRoom)) = self.end {
                return Poll::Ready(end);
            }
            let written = self.poll_write(cx);
            if let Poll::Ready(Some(end)) = written {
                return Poll::Ready(end);
            }
            self.poll_spill(cx);
            match taken {
                // More may have arrived, but the task yields first.
                Taken::Batch => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // The write may have made room.
                Taken::Held if !self.must_hold() => {}
                // Data that was read back from the file can be written.
                _ if written.is_ready() && !self.backlog.is_empty() => {}
                Taken::All | Taken::Held => return Poll::Pending,
            }
        }
    }

    /// Receives what has arrived, up to one batch before the next write.
    fn take(&mut self, cx: &mut Context<'_>) -> Taken {
        let (mut batch, mut messages) = (0, 0);
        // Receiving continues after EOF, so that the sending direction learns that the channel is closed.
        while matches!(self.end, None | Some(DownEnd::Eof)) {
            if self.end.is_none() && self.must_hold() && !self.poll_joined(cx) {
                return Taken::Held;
            }
            if self.joined.take().is_some() {
                self.reader.set_held(false);
            }
            match self.reader.poll_recv(cx) {
                Poll::Pending => return Taken::All,
                // Data after EOF is not part of the stream.
                Poll::Ready(Some(Incoming::Data(_))) if self.end.is_some() => messages += 1,
                Poll::Ready(Some(Incoming::Data(data))) => {
                    batch += data.len();
                    messages += 1;
                    self.keep(data);
                }
                Poll::Ready(Some(Incoming::Eof)) => self.end = Some(DownEnd::Eof),
                Poll::Ready(Some(Incoming::Close)) => self.end = Some(DownEnd::Closed),
                Poll::Ready(None) => {
                    let is_whole = self.end.is_some();
                    self.end = Some(if is_whole { DownEnd::CutAfterEof } else { DownEnd::Cut });
                }
            }
            if batch >= BATCH || messages >= MESSAGES {
                return Taken::Batch;
            }
        }
        Taken::All
    }

    /// Whether to stop receiving: memory is full, and no other channel suffers. Data that was spilled while the
    /// session was shared is written first.
    fn must_hold(&self) -> bool {
        match self.reader.sharing() {
            Sharing::Shared => false,
            Sharing::Alone => self.is_full() || self.spill.is_some(),
            Sharing::Never => self.backlog.len() >= BATCH,
        }
    }

    /// Whether this connection may use no more memory.
    fn is_full(&self) -> bool {
        let weight = self.weight();
        weight >= self.relayer.limits.connection || (weight >= LARGE && self.memory.is_used_up())
    }

    fn weight(&self) -> u64 {
        self.backlog.weight() + self.spill.as_ref().map_or(0, Spill::in_memory)
    }

    /// Whether another channel has joined the session since receiving stopped.
    fn poll_joined(&mut self, cx: &mut Context<'_>) -> bool {
        let joined = self.joined.get_or_insert_with(|| self.reader.joined());
        let joined = joined.as_mut().poll(cx).is_ready();
        // A channel may have joined before this future was created.
        let joined = joined || self.reader.sharing() == Sharing::Shared;
        self.reader.set_held(!joined);
        joined
    }

    fn keep(&mut self, data: bytes::Bytes) {
        if self.spill.is_none() && !self.is_full() {
            return self.backlog.push(data);
        }
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => match self.relayer.spill() {
                Ok(spill) => self.spill.insert(spill),
                Err(why) => return self.give_up(&why.to_string()),
            },
        };
        spill.push(data);
        // Data on its way to the file may exceed the connection's limit while the total is below its own.
        if spill.in_memory() >= self.relayer.limits.connection && self.memory.is_used_up() {
            return self.give_up("the temporary file cannot be written fast enough");
        }
        if self.disk.is_used_up() {
            self.give_up("the limit on data queued for slow clients is reached");
        }
    }

    fn give_up(&mut self, why: &str) {
        warn!(waiting = self.weight() + self.disk.taken(), "a slow client is reset: {why}");
        self.end = Some(DownEnd::NoRoom);
    }

    /// Moves data to the file, and back once the client has taken what precedes it.
    fn poll_spill(&mut self, cx: &mut Context<'_>) {
        let Some(spill) = &mut self.spill else { return };
        let room = self.backlog.weight() < LARGE;
        let into = room.then_some(&mut self.backlog);
        match spill.poll(cx, into) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => {
                let directory = &spill.directory;
                let why = format!("the temporary file in {directory} cannot be used: {error}");
                self.give_up(&why);
                cx.waker().wake_by_ref();
            }
            Poll::Ready(Ok(())) => {
                if spill.is_empty() {
                    self.spill = None;
                }
            }
        }
    }

    /// Writes until the client accepts no more. Ready with an end when this direction is finished.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Option<DownEnd>> {
        while !self.backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.backlog.slices(&mut slices);
            match ready!(self.client.poll_write(cx, &slices[..filled])) {
                Ok(0) | Err(_) => return Poll::Ready(Some(DownEnd::ClientGone)),
                Ok(written) => self.backlog.advance(written),
            }
        }
        if let (Some(end), None) = (self.end, &self.spill) {
            // The result does not matter: the client has received everything, even if it is gone by now.
            let _ = ready!(self.client.poll_shutdown(cx));
            return Poll::Ready(Some(end));
        }
        Poll::Ready(None)
    }

    /// Reports how much data is queued for the client.
    fn account(&mut self) {
        self.memory.set(self.weight());
        self.disk.set(self.spill.as_ref().map_or(0, Spill::on_disk));
        let waiting = self.memory.taken() + self.disk.taken();
        let reading = if waiting >= LARGE { Reading::Behind } else { Reading::KeepsUp };
        self.reader.set_reading(reading);
        self.reader.set_waiting(Waiting { memory: self.memory.taken(), disk: self.disk.taken() });
    }
}

/// Bytes received before the next write.
const BATCH: usize = 256 * 1024;
/// Messages received before the next write. Tokio gives a task a budget of 128 operations per poll: if
/// receiving alone used it up, writing and spilling would starve.
const MESSAGES: usize = 32;
/// The backlog, in bytes, from which a session is marked as carrying a slow reader.
pub(super) const LARGE: u64 = 1 << 20;
/// Pieces in one vectored write.
const MAX_SLICES: usize = 64;
