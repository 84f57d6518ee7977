//! Closes a connection without losing the last response.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Ends this side of the stream, then reads and discards what the client still sends, for a short time.
///
/// Closing a socket with unread data sends a RST, which makes the client's kernel discard the refusal that was
/// just written. Clients that send data along with their request would never learn why they were refused.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let close = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST), &mut tokio::io::sink()).await
    };
    // The connection is dropped, whether or not the client closed it in time.
    let _ = timeout(LONGEST, close).await;
}

/// How long a client may take to close after a refusal.
const LONGEST: Duration = Duration::from_secs(2);
/// How much a client may send after a refusal: what may be in transit before it knows.
const MOST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stays_is_closed_after_a_while() {
        let (client, server) = tokio::io::duplex(64);
        let start = Instant::now();
        linger(server).await;
        assert_eq!(start.elapsed(), LONGEST);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"late").await.expect("room");
        drop(client);
        let start = Instant::now();
        linger(server).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
