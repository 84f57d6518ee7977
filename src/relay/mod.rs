//! Bytes both ways between a client and a channel, and how it ended.
//!
//! Two pumps (`up`, `down`), one for each direction, run in the connection's own task. This is the only place
//! that keeps the promises about ends for tunnels (`listen::http` keeps them for plain requests and upgrades):
//! half-close works both ways, a cut is a reset, the client's socket closes when both sides are done, and the
//! channel when the server has closed it or a short time has passed (a channel that is closed from here first
//! costs its session memory).

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::channel::{Channel, Incoming, Reader, Writer};
use crate::registry::Outcome;
use crate::stream::RelayEnd;

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

/// Serves connections, and limits the data that waits for their clients.
#[derive(Clone, Debug)]
pub struct Relayer {
    limits: BacklogLimits,
    memory: Budget,
    disk: Budget,
    pipes: TaskTracker,
}

impl Relayer {
    /// A relayer with these limits for all its connections.
    pub fn new(limits: BacklogLimits) -> Self {
        let (memory, disk) = (Budget::new(limits.memory), Budget::new(limits.spill));
        Self { limits, memory, disk, pipes: TaskTracker::new() }
    }

    /// Relays until both sides are done, and returns how it ended: cleanly, or with the client reset. `early` is
    /// what the client sent along with its request.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the channel and the client's connection.
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
            match down_end {
                DownEnd::Eof => until_closed(&mut reader, up, up_end).await,
                DownEnd::Closed => Closing::of(up_end),
                DownEnd::CutAfterEof => Closing::after_cut(up_end),
                DownEnd::Cut => Closing::Cut,
                DownEnd::ClientGone => Closing::without_client(up_end),
                DownEnd::NoRoom => Closing::NoRoom,
            }
        };
        closing.finish(client, &mut reader, &writer).await
    }

    /// Starts a relay between `channel` and the pipe that it returns. The relay's task ends when
    /// the channel does, or soon after the pipe is dropped.
    pub fn pipe(&self, channel: impl Into<Channel>) -> Pipe {
        let channel = channel.into();
        let (mut near, far) = pipe::ends();
        near.connection = channel.connection();
        let relayer = self.clone();
        self.pipes.spawn(async move { relayer.relay(far, Bytes::new(), channel).await });
        near
    }

    /// Completes when no pipe is left: each ends with its channel.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn pipes_ended(&self) {
        self.pipes.close();
        self.pipes.wait().await;
    }

    /// Pumps both ways until the downward direction is over. Returns also how the upward one ended, where that
    /// came first.
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
            // A client that has sent its end may vanish silently while it waits.
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
            0 => Err(std::io::Error::other("there is no room in memory, and spilling is off")),
            _ => Spill::new(),
        }
    }
}

/// The work that is left once the pumps have stopped.
enum Closing {
    /// Nothing: both directions are over, and the server has closed the channel.
    Done,
    /// Both directions are over, and the server has not closed the channel.
    Unclosed,
    /// The channel is closed, while the client may still send.
    ClientStillSends,
    Cut,
    ClientGone,
    /// The client is gone and has not sent its end.
    ClientReset,
    NoRoom,
}

impl Closing {
    async fn finish<C: RelayEnd>(self, client: C, reader: &mut Reader, writer: &Writer) -> Outcome {
        match self {
            Self::Done => Outcome::Clean,
            Self::Unclosed => {
                drop(client);
                part(reader).await;
                Outcome::Clean
            }
            Self::ClientStillSends => {
                discard(&client).await;
                Outcome::Clean
            }
            // Unless the client has received a clean end, dropping it is a reset.
            Self::Cut => Outcome::Cut,
            Self::ClientGone => {
                drop(client);
                // A far side that has received our EOF is about to close by itself.
                part(reader).await;
                Outcome::ClientGone
            }
            Self::ClientReset => {
                drop(client);
                let told = timeout(GRACE, writer.abandon()).await;
                if matches!(told, Ok(Ok(()))) {
                    part(reader).await;
                }
                Outcome::ClientGone
            }
            Self::NoRoom => Outcome::NoRoom,
        }
    }

    /// After the server's CLOSE.
    fn of(up_end: Option<UpEnd>) -> Self {
        match up_end {
            Some(UpEnd::Eof) => Self::Done,
            Some(UpEnd::ClientGone | UpEnd::ChannelGone) | None => Self::ClientStillSends,
        }
    }

    /// After the end of the session that followed the server's EOF.
    fn after_cut(up_end: Option<UpEnd>) -> Self {
        match up_end {
            Some(UpEnd::Eof) => Self::Done,
            Some(UpEnd::ClientGone | UpEnd::ChannelGone) | None => Self::Cut,
        }
    }

    /// After the client has gone.
    fn without_client(up_end: Option<UpEnd>) -> Self {
        match up_end {
            Some(UpEnd::Eof) => Self::ClientGone,
            Some(UpEnd::ClientGone | UpEnd::ChannelGone) | None => Self::ClientReset,
        }
    }

    /// After the server's EOF, while the client still sends: `None` is a cut.
    fn while_sending(close: Option<()>) -> Self {
        match close {
            Some(()) => Self::ClientStillSends,
            None => Self::Cut,
        }
    }
}

/// After the server's EOF: the client may go on sending until it is done or the server closes.
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
        // The reader knows why. It need not hear of a writer that fails alone.
        UpEnd::ChannelGone => match timeout(GRACE, closed(reader)).await {
            Ok(close) => Closing::while_sending(close),
            Err(_) => Closing::ClientStillSends,
        },
    }
}

/// Gives the server a moment to close a finished channel. OpenSSH does so after both EOFs; others
/// (asyncssh) wait for the client to do it.
async fn part(reader: &mut Reader) {
    reader.finish();
    let _ = timeout(GRACE, closed(reader)).await;
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

/// Reads what the client still sends, so that closing its socket does not become a reset that overtakes
/// data on its way to it.
async fn discard<C: RelayEnd>(client: &C) {
    let _ = timeout(LINGER, async {
        while let Ok(chunk) = up::read(client).await
            && !chunk.is_empty()
        {}
    })
    .await;
}

/// The time for the server to close a channel after both EOFs, or one whose client is gone or that takes no more.
const GRACE: Duration = Duration::from_secs(1);
/// The time for a client to close after the channel is closed.
const LINGER: Duration = Duration::from_secs(2);
