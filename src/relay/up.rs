//! From the client to the channel.

use std::future::poll_fn;
use std::io;

use bytes::{Bytes, BytesMut};

use crate::channel::Writer;
use crate::stream::RelayEnd;

/// How the upward direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpEnd {
    /// The client sent its end of the stream, and the server was told.
    Eof,
    /// The client reset the connection.
    ClientGone,
    /// The channel accepts no more data. The downward direction knows why.
    ChannelGone,
}

/// Sends `early`, and then everything that the client sends.
pub(super) async fn pump<C: RelayEnd>(client: &C, early: Bytes, writer: &Writer) -> UpEnd {
    let mut chunk = early;
    let mut buffer = BytesMut::new();
    loop {
        if !chunk.is_empty() {
            // The target may keep the window closed for any time, and nobody reads from the client
            // meanwhile.
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
    // Thousands may wait here at once for their session to take their ends.
    drop(buffer);
    match writer.send_eof().await {
        Ok(()) => UpEnd::Eof,
        Err(_) => UpEnd::ChannelGone,
    }
}

/// One read; empty at the end of the stream.
pub(super) async fn read<C: RelayEnd>(client: &C) -> io::Result<Bytes> {
    let mut buffer = BytesMut::new();
    poll_fn(|cx| client.poll_read(cx, &mut buffer)).await?;
    Ok(buffer.freeze())
}
