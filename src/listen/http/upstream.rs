//! The connection to the web server behind a client's plain requests.
//!
//! One is kept for each client connection, and used again while the destination stays the same. It
//! runs inside the client's own task: it cannot outlive the client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::failure::{Failure, Fault};
use super::slot::Slot;
use crate::destination::Destination;
use crate::dial::Way;

/// The content of a request on its way: the client's, or none where it is sent again.
pub(crate) type RequestBody = Either<Incoming, Empty<Bytes>>;

/// The kept connection, if there is one.
pub(crate) struct Upstream {
    connected: Slot<Connected>,
    driver: Slot<Driver>,
}

/// A new connection to a web server.
#[derive(Debug)]
pub(crate) struct Opened<S> {
    pub(crate) stream: S,
    /// The way that it took.
    pub(crate) way: Way,
}

struct Connected {
    destination: Destination,
    way: Way,
    sender: SendRequest<RequestBody>,
}

/// hyper's side of the connection, which moves only when it is polled.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Upstream {
    pub(crate) fn new() -> Self {
        Self { connected: Slot::new(None), driver: Slot::new(None) }
    }

    /// Moves the connection on. The client's task calls this whenever it is woken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) {
        if let Some(mut driver) = self.driver.take()
            && driver.as_mut().poll(cx).is_pending()
        {
            self.driver.put(driver);
        }
    }

    /// Sends a request and waits for the head of the response, which comes with the way that it took.
    /// `open` is used when no connection to the destination is kept, or when that one turns out to be stale and the request can be sent
    /// again: nothing of it was sent, or it is idempotent and has no content (RFC 9110 section
    /// 9.2.2).
    pub(crate) async fn send<S>(
        &self,
        mut request: Request<RequestBody>,
        destination: &Destination,
        open: impl Future<Output = Result<Opened<S>, Failure>>,
    ) -> Result<(Response<Incoming>, Way), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: &hyper::Error, way: &Way| {
            debug!(%error, "no response from the web server");
            let (destination, fault) = (destination.clone(), fault(error));
            Failure::Upstream { destination, fault, way: way.clone() }
        };
        if let Some(mut kept) = self.kept(destination).await {
            let copy = repeatable(&request);
            match kept.sender.try_send_request(request).await {
                Ok(response) => {
                    let way = kept.way.clone();
                    self.connected.put(kept);
                    return Ok((response, way));
                }
                Err(mut error) => match error.take_message().or(copy) {
                    Some(again) => request = again,
                    None => return Err(failed(error.error(), &kept.way)),
                },
            }
        }
        let Opened { stream, way } = open.await?;
        let sender = self.connect(stream).await;
        let mut sender = sender.map_err(|error| failed(&error, &way))?;
        let response = sender.send_request(request).await.map_err(|error| failed(&error, &way))?;
        self.connected.put(Connected {
            destination: destination.clone(),
            way: way.clone(),
            sender,
        });
        Ok((response, way))
    }

    /// The kept connection, when it leads there and is still good as far as one can know.
    async fn kept(&self, destination: &Destination) -> Option<Connected> {
        let mut kept = self.connected.take().filter(|kept| kept.destination == *destination)?;
        kept.sender.ready().await.is_ok().then_some(kept)
    }

    /// Speaks HTTP on a stream. The connection before it is dropped.
    async fn connect<S>(&self, stream: S) -> hyper::Result<SendRequest<RequestBody>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(super::BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        self.driver.put(Box::pin(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%error, "the connection to the web server failed");
            }
        }));
        Ok(sender)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// A copy of a request that may be sent twice.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let idempotent = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE];
    if !idempotent.contains(request.method()) || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Either::Right(Empty::new()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whose fault a failed request is.
fn fault(error: &hyper::Error) -> Fault {
    if error.is_parse() { Fault::Protocol } else { Fault::Closed }
}
