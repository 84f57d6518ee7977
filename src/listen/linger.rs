//! Closing so that the last word is heard.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Ends our side of the stream, then reads and drops what the client still sends, for a short time.
///
/// A socket that is closed with unread data in it sends a reset, and a reset makes the client's
/// kernel throw away the refusal that we just wrote. Clients that send data along with their
/// request would never learn why they were refused.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let close = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST), &mut tokio::io::sink()).await
    };
    // Whether the client went in time or not, we are done with it.
    let _ = timeout(LONGEST, close).await;
}

/// How long a client may take to hang up after a refusal.
const LONGEST: Duration = Duration::from_secs(2);
/// How much a client may send after a refusal: what fits on its way before it can know.
const MOST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stays_is_left_after_a_while() {
        let (client, server) = tokio::io::duplex(64);
        let start = Instant::now();
        linger(server).await;
        assert_eq!(start.elapsed(), LONGEST);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"late").await.expect("room");
        drop(client);
        let start = Instant::now();
        linger(server).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
