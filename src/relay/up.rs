//! From the client to the channel.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};

use crate::channel::Writer;
use crate::stream::RelayEnd;

/// How the upward direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpEnd {
    /// The client sent EOF, and it was forwarded to the server.
    Eof,
    /// The client reset the connection.
    ClientGone,
    /// The channel accepts no more data. The downward direction has the reason.
    ChannelGone,
}

/// Sends `early`, and then everything that the client sends.
pub(super) async fn pump<C: RelayEnd>(client: &C, early: Bytes, writer: &Writer) -> UpEnd {
    let mut chunk = early;
    let mut buffer = BytesMut::new();
    loop {
        if !chunk.is_empty() {
            // The window may stay closed indefinitely, and the client is not read meanwhile: only this branch
            // notices that it resets the connection.
            tokio::select! {
                biased;
                sent = writer.send(chunk) => if sent.is_err() { return UpEnd::ChannelGone },
                () = client.reset() => return UpEnd::ClientGone,
            }
        }
        match poll_fn(|cx| client.poll_read(cx, &mut buffer)).await {
            Ok(0) => break,
            Ok(_) => chunk = buffer.split().freeze(),
            Err(_) => return UpEnd::ClientGone,
        }
    }
    // The buffer is freed first: thousands of connections may wait here for their session to send EOF.
    drop(buffer);
    match writer.send_eof().await {
        Ok(()) => UpEnd::Eof,
        Err(_) => UpEnd::ChannelGone,
    }
}
