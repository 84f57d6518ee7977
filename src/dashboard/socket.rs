//! Serves a feed over a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{Either, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::feed::Feed;
use crate::control::reply::{Answer, Failure};

/// Upgrades a connection to a WebSocket, which sends the feed until the client leaves or `shutdown` is
/// cancelled. The task belongs to `tasks`.
pub(super) fn open(
    mut request: Request<Incoming>,
    feed: Feed,
    permit: OwnedSemaphorePermit,
    shutdown: CancellationToken,
    tasks: &TaskTracker,
) -> Answer {
    let body = || Either::Left(Full::new(Bytes::new()));
    let response = create_response_with_body(&request, body)
        .map_err(|error| Failure::bad(error.to_string()))?;
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn(async move {
        tokio::select! {
            () = speak(upgrade, feed) => {}
            () = shutdown.cancelled() => {}
        }
        drop(permit);
    });
    Ok(response)
}

async fn speak(upgrade: OnUpgrade, mut feed: Feed) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return debug!(%error, "no WebSocket"),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(MOST_HEARD)
        .max_message_size(Some(MOST_HEARD))
        .max_frame_size(Some(MOST_HEARD));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    loop {
        tokio::select! {
            said = feed.next() => {
                let Some(text) = said else { break };
                match timeout(PATIENCE, socket.send(Message::text(text))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return,
                }
            }
            // Incoming messages are ignored, but show that the client is alive; reading also answers pings.
            heard = socket.next() => match heard {
                Some(Ok(message)) if !message.is_close() => {}
                Some(_) | None => break,
            },
        }
    }
    let _ = timeout(PATIENCE, socket.close(None)).await;
}

/// The time for which a client may block the stream.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest incoming message, in bytes.
const MOST_HEARD: usize = 4 * 1024;
