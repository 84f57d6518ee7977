//! Relays bytes both ways between a client and a channel, and determines how the connection ended.
//!
//! Two pumps (`up`, `down`), one for each direction, run in the connection's own task. For tunnels, this is the
//! only place that keeps the promises about ends (`listen::http` does so for plain requests and upgrades):
//! half-close works both ways, and a cut becomes a reset. The client's socket is closed when both sides are
//! done; the channel is closed once the server has closed it, or after a short time (closing a channel first
//! leaks memory in its session), or when it still carries data to a client that is gone.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::channel::{Channel, Incoming, Reader, Writer};
use crate::registry::Outcome;
use crate::ssh::Leftover;
use crate::stream::{RelayEnd, drain};

mod backlog;
mod down;
mod limits;
mod pipe;
mod spill;
#[cfg(test)]
mod tests;
mod up;

pub use limits::{BacklogLimits, InvalidBacklogLimits};
pub use pipe::Pipe;

use down::DownEnd;
use limits::Budget;
use spill::Spill;
use up::UpEnd;

/// Relays connections, and limits the data queued for their clients.
#[derive(Clone, Debug)]
pub struct Relayer {
    limits: BacklogLimits,
    memory: Budget,
    disk: Budget,
    pipes: TaskTracker,
}

impl Relayer {
    /// A relayer whose connections share these limits.
    pub fn new(limits: BacklogLimits) -> Self {
        let (memory, disk) = (Budget::new(limits.memory), Budget::new(limits.spill));
        Self { limits, memory, disk, pipes: TaskTracker::new() }
    }

    /// Relays until both sides are done, and returns how the connection ended; unless it ended cleanly, the
    /// client was reset. `early` is data that the client sent along with its request.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the channel and the client's connection are closed.
    pub async fn relay<C: RelayEnd>(
        &self,
        client: C,
        early: Bytes,
        channel: impl Into<Channel>,
    ) -> Outcome {
        let (reader, writer, tracked) = channel.into().split();
        let Some(tracked) = tracked else {
            return self.carry(client, early, reader, writer).await;
        };
        let ended = tokio::select! {
            biased;
            ended = self.carry(client, early, reader, writer) => ended,
            () = tracked.killed() => Outcome::Killed,
        };
        tracked.end(ended);
        ended
    }

    async fn carry<C: RelayEnd>(
        &self,
        client: C,
        early: Bytes,
        mut reader: Reader,
        writer: Writer,
    ) -> Outcome {
        client.reset_on_drop();
        let closing = {
            let mut up = pin!(up::pump(&client, early, &writer));
            let (down_end, up_end) = self.pump(&client, &mut reader, up.as_mut()).await;
            match (down_end, up_end) {
                (DownEnd::Eof, up_end) => until_closed(&mut reader, up, up_end).await,
                (DownEnd::Closed | DownEnd::CutAfterEof, Some(UpEnd::Eof)) => Closing::Done,
                (DownEnd::Closed, _) => Closing::ClientStillSends,
                (DownEnd::CutAfterEof | DownEnd::Cut, _) => Closing::Cut,
                (DownEnd::ClientGone, Some(UpEnd::Eof)) => Closing::ClientGone,
                (DownEnd::ClientGone, _) => Closing::ClientReset,
                (DownEnd::NoRoom, _) => Closing::NoRoom,
            }
        };
        closing.finish(client, &mut reader, &writer).await
    }

    /// Starts a relay between `channel` and the returned pipe. Its task ends when the channel does, or soon
    /// after the pipe is dropped.
    pub fn pipe(&self, channel: impl Into<Channel>) -> Pipe {
        let channel = channel.into();
        let (mut near, far) = pipe::ends();
        near.connection = channel.connection();
        let relayer = self.clone();
        self.pipes.spawn(async move { relayer.relay(far, Bytes::new(), channel).await });
        near
    }

    /// Completes when the relays of all pipes have ended; each ends with its channel.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn pipes_ended(&self) {
        self.pipes.close();
        self.pipes.wait().await;
    }

    /// Pumps both ways until the downward direction has ended. Also returns how the upward direction ended, if
    /// it ended first.
    async fn pump<C: RelayEnd>(
        &self,
        client: &C,
        reader: &mut Reader,
        up: Pin<&mut impl Future<Output = UpEnd>>,
    ) -> (DownEnd, Option<UpEnd>) {
        let mut down = pin!(down::pump(self, client, reader));
        let up_end = tokio::select! {
            down_end = &mut down => return (down_end, None),
            up_end = up => up_end,
        };
        let down_end = match up_end {
            UpEnd::ClientGone => DownEnd::ClientGone,
            // A client that has sent EOF may vanish silently while it waits.
            UpEnd::Eof => tokio::select! {
                biased;
                down_end = down => down_end,
                () = client.gone() => DownEnd::ClientGone,
            },
            UpEnd::ChannelGone => tokio::select! {
                biased;
                down_end = down => down_end,
                () = client.discard() => DownEnd::ClientGone,
            },
        };
        (down_end, Some(up_end))
    }

    fn spill(&self) -> std::io::Result<Spill> {
        match self.limits.spill {
            0 => Err(std::io::Error::other("the memory limit is reached, and spilling is off")),
            _ => Spill::new(),
        }
    }
}

/// The work left once the pumps have stopped.
enum Closing {
    /// None: both directions have ended, and the server has closed the channel.
    Done,
    /// Both directions have ended, but the server has not closed the channel.
    Unclosed,
    /// The channel is closed, but the client may still be sending.
    ClientStillSends,
    Cut,
    ClientGone,
    /// The client is gone without having sent EOF.
    ClientReset,
    NoRoom,
}

impl Closing {
    async fn finish<C: RelayEnd>(self, client: C, reader: &mut Reader, writer: &Writer) -> Outcome {
        match self {
            Self::Done => Outcome::Clean,
            Self::Unclosed => {
                drop(client);
                await_close(reader).await;
                Outcome::Clean
            }
            Self::ClientStillSends => {
                // Closing a socket with unread data sends a RST, which can overtake data in transit to the client.
                let _ = timeout(LINGER, drain(&client)).await;
                Outcome::Clean
            }
            // Dropping the client resets it, unless it has received EOF.
            Self::Cut => Outcome::Cut,
            Self::ClientGone => {
                drop(client);
                // A far side that has received our EOF is about to close the channel itself.
                await_close(reader).await;
                Outcome::ClientGone
            }
            Self::ClientReset => {
                drop(client);
                let sent = timeout(GRACE, writer.abandon()).await;
                if matches!(sent, Ok(Ok(()))) {
                    await_close(reader).await;
                }
                Outcome::ClientGone
            }
            Self::NoRoom => Outcome::NoRoom,
        }
    }

    /// The wait for the server's CLOSE after its EOF has ended while the client was sending; `None` is a cut.
    fn while_sending(close: Option<()>) -> Self {
        match close {
            Some(()) => Self::ClientStillSends,
            None => Self::Cut,
        }
    }
}

/// After the server's EOF, lets the client send until it is done or the server closes the channel.
async fn until_closed(
    reader: &mut Reader,
    up: Pin<&mut impl Future<Output = UpEnd>>,
    up_end: Option<UpEnd>,
) -> Closing {
    let up_end = if let Some(up_end) = up_end {
        up_end
    } else {
        tokio::select! {
            up_end = up => up_end,
            close = closed(reader) => return Closing::while_sending(close),
        }
    };
    match up_end {
        UpEnd::Eof => Closing::Unclosed,
        UpEnd::ClientGone => Closing::ClientReset,
        // The reader learns the reason, unless only the writer failed.
        UpEnd::ChannelGone => match timeout(GRACE, closed(reader)).await {
            Ok(close) => Closing::while_sending(close),
            Err(_) => Closing::ClientStillSends,
        },
    }
}

/// Gives the server a moment to close a finished channel, unless the target goes on sending: many ignore EOF.
/// OpenSSH closes after both EOFs; others (asyncssh) wait for the client's CLOSE.
async fn await_close(reader: &mut Reader) {
    reader.finish();
    let mut rest = Leftover::default();
    let closed = async { while rest.goes_on(reader.recv().await.as_ref()) {} };
    let _ = timeout(GRACE, closed).await;
}

/// Waits for the server's CLOSE and discards data before it. `None` is a cut.
async fn closed(reader: &mut Reader) -> Option<()> {
    loop {
        match reader.recv().await? {
            Incoming::Close => return Some(()),
            Incoming::Data(_) | Incoming::Eof => {}
        }
    }
}

/// How long to wait for the server to close a channel after both EOFs, a failed write, or the client's end.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait for the client to close its connection after the channel is closed.
const LINGER: Duration = Duration::from_secs(2);
