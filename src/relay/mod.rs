//! Bytes both ways between a client and a channel, and how it ended.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ssh::Channel;

mod pipe;

pub use pipe::{Pipe, pipe};

/// The client's side of a relay.
pub trait Client: AsyncRead + AsyncWrite + Unpin + Send {
    /// Ready when a read would not wait: an idle connection needs no buffer until then.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the connection so that the peer sees a fault and not a clean end.
    fn reset(self);
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Both sides said all they had to say.
    Clean,
}

/// Relays until both sides are done. `early` is what the client sent along with its request.
pub async fn relay<C: Client>(client: C, early: Bytes, channel: Channel) -> Ended {
    let _ = (client, early, channel);
    todo!()
}
