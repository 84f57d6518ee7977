//! From the channel to the client.
//!
//! The map of the crate lists the whole path of a byte. Data is received at once, since a channel whose
//! queue is full stops its whole session. It waits in memory, then in a file. Only where no other channel
//! shares the session does receiving stop instead: then TCP pushes back to the server, and nothing is spilled.

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
    /// The far side sent its end of the stream, and the client has received everything, the end included.
    Eof,
    /// The same, and the channel is closed in both directions.
    Closed,
    /// The same, and the session ended before the channel was closed.
    CutAfterEof,
    /// The session ended before the far side sent its end.
    Cut,
    /// The client accepts no more data.
    ClientGone,
    /// The client is so slow that the data for it exceeds the limits.
    NoRoom,
}

/// Passes on everything that the server sends.
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
    /// What follows after the backlog.
    spill: Option<Spill>,
    memory: Share,
    disk: Share,
    /// While receiving is stopped: completes when another channel joins the session.
    joined: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    end: Option<DownEnd>,
}

/// The reason to stop receiving.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Nothing more has arrived, or nothing more will.
    All,
    /// Enough for one write.
    Batch,
    /// There is no room, and nobody who needs it to be made.
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
                // There may be more, but other tasks run first.
                Taken::Batch => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // There may be room by now.
                Taken::Held if !self.must_hold() => {}
                // Data read back from the file can be written.
                _ if written.is_ready() && !self.backlog.is_empty() => {}
                Taken::All | Taken::Held => return Poll::Pending,
            }
        }
    }

    /// Receives what has arrived, one batch at most: then it is time to write again.
    fn take(&mut self, cx: &mut Context<'_>) -> Taken {
        let (mut batch, mut messages) = (0, 0);
        // After the end of the stream, too: whoever sends has to hear that the channel is no more.
        while matches!(self.end, None | Some(DownEnd::Eof)) {
            if self.end.is_none() && self.must_hold() && !self.poll_joined(cx) {
                return Taken::Held;
            }
            if self.joined.take().is_some() {
                self.reader.set_held(false);
            }
            match self.reader.poll_recv(cx) {
                Poll::Pending => return Taken::All,
                // What follows the end of the stream is not part of it.
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

    /// Whether memory is full and no other channel suffers from waiting. Data that was spilled while
    /// another channel was there is written first.
    fn must_hold(&self) -> bool {
        match self.reader.sharing() {
            Sharing::Shared => false,
            Sharing::Alone => self.is_full() || self.spill.is_some(),
            Sharing::Never => self.backlog.len() >= BATCH,
        }
    }

    /// Whether memory has no more room for this connection.
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
        // A channel may have joined before the wait began.
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
        // Data on its way to the file may exceed a connection's share while there is room in all.
        if spill.in_memory() >= self.relayer.limits.connection && self.memory.is_used_up() {
            return self.give_up("the temporary file cannot be written fast enough");
        }
        if self.disk.is_used_up() {
            self.give_up("the room for what waits for slow clients is used up");
        }
    }

    fn give_up(&mut self, why: &str) {
        warn!(waiting = self.weight() + self.disk.taken(), "a slow client is reset: {why}");
        self.end = Some(DownEnd::NoRoom);
    }

    /// Moves data to the file, and back when the client has taken what comes before it.
    fn poll_spill(&mut self, cx: &mut Context<'_>) {
        let Some(spill) = &mut self.spill else { return };
        let room = self.backlog.weight() < LARGE;
        let into = room.then_some(&mut self.backlog);
        match spill.poll(cx, into) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => {
                let directory = spill.directory();
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

    /// Writes until the client accepts no more. Ready with an end when the direction is over.
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
            // A client that is gone already has received everything all the same.
            let _ = ready!(self.client.poll_shutdown(cx));
            return Poll::Ready(Some(end));
        }
        Poll::Ready(None)
    }

    /// Reports how much waits here.
    fn account(&mut self) {
        self.memory.set(self.weight());
        self.disk.set(self.spill.as_ref().map_or(0, Spill::on_disk));
        let waiting = self.memory.taken() + self.disk.taken();
        let reading = if waiting >= LARGE { Reading::Behind } else { Reading::KeepsUp };
        self.reader.set_reading(reading);
        self.reader.set_waiting(Waiting { memory: self.memory.taken(), disk: self.disk.taken() });
    }
}

/// The most that is received before the next write, in bytes.
const BATCH: usize = 256 * 1024;
/// The most messages that are received before the next write. The runtime gives a task a budget of 128
/// operations a turn: if receiving alone used that up, writing and spilling would never run.
const MESSAGES: usize = 32;
/// A backlog of this size marks its session as carrying a slow reader. In bytes.
pub(super) const LARGE: u64 = 1 << 20;
/// The most pieces in one write.
const MAX_SLICES: usize = 64;
