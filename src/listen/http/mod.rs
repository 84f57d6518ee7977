//! HTTP/1.1 for a proxy: CONNECT, and plain requests in absolute form.
//!
//! - `wire`: heads and framing as received, parsed before hyper and rewritten.
//! - `stream`, `server_stream`: the client's socket and the web server's channel, used by hyper; `aside` is the
//!   state that bypasses hyper.
//! - `form`: the destination of a request; everything else is refused, and the connection is closed.
//! - `exchange`: one client's connection, request by request. `content`: the content of a response.
//! - `headers`: hop-by-hop fields. `hops`: Max-Forwards.
//! - `upstream`: the connection to the web server, reused on the same terms.
//! - `local`: the pages of this program. `failure`, `page`: the response to a failed request.
//!
//! No `Via` field is added, although RFC 9110 section 7.6.3 requires one of proxies: it would tell every web
//! server that its visitor uses a tunnel, which `ssh -D` does not reveal.
//!
//! hyper writes every message from unambiguous heads, so that ambiguous forms from a client or a web server (a
//! bare LF, both Content-Length and Transfer-Encoding, spaces, a Host that differs from the URI's) are never
//! forwarded. `src/guide/http.md` lists how each case is handled.

mod aside;
mod content;
mod exchange;
mod failure;
mod form;
mod headers;
mod hops;
mod local;
mod page;
mod server_stream;
mod slot;
mod stream;
mod upstream;
mod wire;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{BufReader, copy_bidirectional};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::aside::Aside;
use self::exchange::{Exchange, Next, Origin};
use self::stream::{HttpSocket, HttpStream};
pub(super) use self::wire::head::is_token;
use super::connect::Connect;
use super::context::ProxyContext;
use super::greeting::{Expiry, GreetingSlot};
use super::linger::linger;
use super::stream::ClientStream;
use super::tunnel::Tunnel;
use crate::request::Source;
use crate::stream::RelayEnd as _;

/// A client whose first byte began an HTTP request, and its greeting slot.
pub(crate) struct Visitor {
    pub(crate) client: BufReader<ClientStream>,
    pub(crate) listener: Arc<str>,
    pub(crate) source: Source,
    pub(crate) slot: GreetingSlot,
    pub(crate) expiry: Expiry,
}

/// Serves requests until the connection ends or becomes a tunnel.
pub(crate) async fn serve<R: Connect>(
    context: Arc<ProxyContext<R>>,
    visitor: Visitor,
    shutdown: CancellationToken,
) -> Option<Tunnel<R::Channel>> {
    let Visitor { client, listener, source, slot, expiry } = visitor;
    let aside = Arc::<Aside>::default();
    let ahead = Bytes::copy_from_slice(client.buffer());
    let socket = Arc::new(HttpSocket::new(client.into_inner()));
    let stream = HttpStream::new(socket.clone(), aside.clone(), &ahead);
    let local = socket.stream.local_address();
    let exchange = Exchange::new(context, Origin { listener, source, local }, slot, aside);
    let exchange = Arc::new(exchange);
    if let Some(result) = drive(&exchange, stream, &socket, expiry, shutdown).await {
        return finish(exchange, result, socket).await;
    }
    drop(exchange);
    Arc::into_inner(socket)?.stream.reset();
    None
}

/// Runs hyper on the stream until it is done, successfully or not; none if the client is gone, or must go.
async fn drive<R: Connect>(
    exchange: &Arc<Exchange<R>>,
    stream: HttpStream,
    socket: &HttpSocket,
    mut expiry: Expiry,
    shutdown: CancellationToken,
) -> Option<hyper::Result<()>> {
    let service = service_fn(|request| {
        let exchange = exchange.clone();
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let connection = server().serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    let mut broken = pin!(socket.stream.gone());
    let mut abandoned = pin!(socket.abandoned());
    let mut is_draining = false;
    loop {
        tokio::select! {
            biased;
            // Takes precedence over a next request that may have arrived.
            () = shutdown.cancelled(), if !is_draining => {
                if exchange.in_greeting() {
                    return None;
                }
                is_draining = true;
                connection.as_mut().graceful_shutdown();
            }
            result = exchange.drive(connection.as_mut()) => return Some(result),
            () = &mut broken => return None,
            () = &mut abandoned => return None,
            reason = expiry.wait() => {
                debug!(%reason, "greeting ended");
                return None;
            }
        }
    }
}

/// Continues after hyper is done: with a tunnel, another protocol, or the end.
async fn finish<R: Connect>(
    exchange: Arc<Exchange<R>>,
    result: hyper::Result<()>,
    socket: Arc<HttpSocket>,
) -> Option<Tunnel<R::Channel>> {
    match (result, exchange.next()) {
        (Ok(()), Some(Next::Tunnel { client, channel })) => {
            drop(socket);
            let (client, early) = reclaim(client).await?;
            Some(Tunnel { client, early, channel })
        }
        (Ok(()), Some(Next::Upgrade { client, server })) => {
            switch_protocols(&exchange, client, server, socket).await;
            None
        }
        (result, unheard) => {
            if result.is_ok() {
                tokio::select! {
                    biased;
                    () = exchange.settle() => {}
                    () = socket.stream.gone() => {}
                    () = socket.abandoned() => {}
                }
            }
            // The connection to the far side need not wait for the client to close.
            drop((exchange, unheard));
            close(result, Arc::into_inner(socket)?.stream).await;
            None
        }
    }
}

/// Ends a connection that hyper is done with.
async fn close(result: hyper::Result<()>, client: ClientStream) {
    match result {
        Ok(()) => linger(client).await,
        Err(error) => {
            debug!(%error, "the HTTP connection failed");
            if error.is_user() || error.is_body_write_aborted() {
                // A response that broke off must not look complete.
                client.reset();
            } else if !error.is_timeout() {
                // hyper has answered a malformed request, whose remainder is still in transit.
                linger(client).await;
            }
        }
    }
}

/// Takes the socket back from hyper, with the data read beyond the request.
async fn reclaim(client: OnUpgrade) -> Option<(ClientStream, Bytes)> {
    let parts = client.await.ok()?.downcast::<TokioIo<HttpStream>>().ok()?;
    let (socket, ahead) = parts.io.into_inner().into_parts();
    let early =
        if ahead.is_empty() { parts.read_buf } else { [parts.read_buf, ahead].concat().into() };
    Some((Arc::into_inner(socket)?.stream, early))
}

/// Relays another protocol (WebSocket) after a 101, both ways until both sides are done.
async fn switch_protocols<R: Connect>(
    exchange: &Exchange<R>,
    client: OnUpgrade,
    server: OnUpgrade,
    socket: Arc<HttpSocket>,
) {
    let copied = async {
        let (client, server) = (client.await?, exchange.drive(server).await?);
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        copy_bidirectional(&mut client, &mut server).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let result = tokio::select! {
        biased;
        result = copied => result,
        () = socket.stream.gone() => return,
    };
    if let Err(error) = result {
        debug!(%error, "the upgraded connection failed");
        if let Some(socket) = Arc::into_inner(socket) {
            socket.stream.reset();
        }
    }
}

fn server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The time from one response to the next request head. The first head has the greeting's deadline.
        .header_read_timeout(IDLE)
        // A client may half-close and still expect its response.
        .half_close(true)
        .preserve_header_case(true)
        .max_headers(wire::MAX_FIELDS + 8)
        .max_buf_size(BUFFER);
    builder
}

/// How long a connection may be idle between two requests. Browsers close theirs after 60 to 300 s.
const IDLE: Duration = Duration::from_secs(180);
/// The buffer for a message in each direction: hyper needs a head in one piece, and rewriting may add a space
/// and a CR to each field.
const BUFFER: usize = wire::MAX_HEAD + 16 * 1024;

#[cfg(test)]
mod tests;
