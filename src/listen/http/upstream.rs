//! The connection to the web server for a client's plain requests.
//!
//! One connection is kept per client connection, and reused while the rules could not decide differently. It
//! runs inside the client's task, and so cannot outlive the client.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::aside::Aside;
use super::failure::{Failure, Fault};
use super::server_stream::{Link, RequestLine, ServerStream};
use super::slot::Slot;
use super::wire::MAX_FIELDS;
use super::wire::request::{Malformed, RequestHead};
use super::wire::target::Path;
use crate::destination::Destination;
use crate::dial::{Connected, Way};

/// The content of a forwarded request: the client's, or none for a repeated request.
pub(crate) type RequestBody = Either<Incoming, Empty<Bytes>>;

/// The kept connection, if there is one.
pub(crate) struct Upstream {
    client: Arc<Aside>,
    kept: Slot<KeptConnection>,
    driver: Slot<Driver>,
}

/// A request to a web server, with the parts that hyper does not see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) terms: &'a Terms,
    pub(crate) head: &'a RequestHead,
    /// The target, if hyper cannot write it; the request has a placeholder then.
    pub(crate) raw: Option<&'a Path>,
}

/// The properties of one client's requests that decide their route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) destination: Destination,
    pub(crate) user: Option<Arc<str>>,
    /// The number of replacements of the rules.
    pub(crate) replaced: u64,
}

struct KeptConnection {
    terms: Terms,
    way: Way,
    sender: SendRequest<RequestBody>,
    link: Arc<Link>,
}

/// hyper's side of the connection, which makes progress only when polled.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Upstream {
    pub(crate) fn new(client: Arc<Aside>) -> Self {
        Self { client, kept: Slot::default(), driver: Slot::default() }
    }

    /// Drives the connection. Called whenever the client's task is woken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) {
        if let Some(mut driver) = self.driver.take()
            && driver.as_mut().poll(cx).is_pending()
        {
            self.driver.put(driver);
        }
    }

    pub(crate) fn close(&self) {
        drop((self.kept.take(), self.driver.take()));
    }

    /// Waits until the current request, if any, has been sent, and closes the connection.
    pub(crate) async fn settle(&self) {
        let Some(mut kept) = self.kept.take().filter(|kept| !kept.sender.is_ready()) else {
            return;
        };
        let _ = kept.sender.ready().await;
        drop(kept);
        poll_fn(|cx| {
            self.poll(cx);
            if self.driver.is_some() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Sends a request and waits for the head of the response, which is returned with its route. `open` is used
    /// if no connection on these terms is kept, or if that one turns out to be stale and the request can be
    /// repeated: none of it was sent, or it is idempotent and has no content (RFC 9110 section 9.2.2).
    pub(crate) async fn send<S>(
        &self,
        mut request: Request<RequestBody>,
        asked: Asked<'_>,
        open: impl Future<Output = Result<Connected<S>, Failure>>,
    ) -> Result<(Response<Incoming>, Way), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begin = |link: &Link, method: &Method| {
            let line = asked.raw.map(|raw| RequestLine::new(method, raw.as_bytes()));
            link.begin(method, asked.head.version, line);
        };
        if let Some(mut kept) = self.take_kept(asked).await {
            let copy = repeatable(&request);
            begin(&kept.link, request.method());
            match kept.sender.try_send_request(request).await {
                Ok(response) => {
                    let way = kept.way.clone();
                    self.kept.put(kept);
                    return Ok((response, way));
                }
                // An answer of the server is final, as is a kill by the user: the request is not repeated.
                Err(mut error) => match error.take_message().or(copy) {
                    Some(again) if !kept.link.fault.is_some() && !is_killed(error.error()) => {
                        request = again;
                    }
                    _ => return Err(self.failed(error.error(), asked, &kept.link, &kept.way)),
                },
            }
        }
        let Connected { channel: stream, way } = open.await?;
        let link = Arc::new(Link::new(self.client.clone()));
        let failed = |error| self.failed(&error, asked, &link, &way);
        let mut sender = self.connect(stream, link.clone()).await.map_err(failed)?;
        begin(&link, request.method());
        let response = sender.send_request(request).await.map_err(failed)?;
        self.kept.put(KeptConnection {
            terms: asked.terms.clone(),
            way: way.clone(),
            sender,
            link: link.clone(),
        });
        Ok((response, way))
    }

    /// Determines whose fault it is that there is no response.
    fn failed(&self, error: &hyper::Error, asked: Asked<'_>, link: &Link, way: &Way) -> Failure {
        debug!(%error, "no response from the web server");
        if let Some(malformed) = self.client.fault.take() {
            return malformed.into();
        }
        if error.is_user() {
            // The content to be sent has failed.
            return Malformed::ContentCut.into();
        }
        let fault = match link.fault.take() {
            Some(answer) => Fault::Answer(answer),
            None if is_killed(error) => Fault::Killed,
            None if is_cut(error) && way.server().is_some() => Fault::Cut,
            None if error.is_parse() => Fault::Protocol,
            None => Fault::Closed,
        };
        let destination = asked.terms.destination.clone();
        Failure::Upstream { destination, fault, way: way.clone() }
    }

    /// The kept connection, if it was opened on these terms and appears to be usable.
    async fn take_kept(&self, asked: Asked<'_>) -> Option<KeptConnection> {
        let mut kept = self.kept.take()?;
        let is_good = kept.terms == *asked.terms && kept.sender.ready().await.is_ok();
        // A replaced request line can only be sent ahead of everything else.
        (is_good && (asked.raw.is_none() || !kept.link.is_writing.load(Relaxed))).then_some(kept)
    }

    /// Starts HTTP on a stream, and drops the previous connection.
    async fn connect<S>(
        &self,
        stream: S,
        link: Arc<Link>,
    ) -> hyper::Result<SendRequest<RequestBody>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .preserve_header_case(true)
            .title_case_headers(true)
            .max_headers(MAX_FIELDS + 8)
            .max_buf_size(super::BUFFER);
        let stream = ServerStream::new(stream, link);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        self.driver.put(Box::pin(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%error, "the connection to the web server failed");
            }
        }));
        Ok(sender)
    }
}

/// Whether the connection was cut. A reset by the web server itself arrives as EOF, through the SSH server.
fn is_cut(error: &hyper::Error) -> bool {
    io_kind(error) == Some(io::ErrorKind::ConnectionReset)
}

/// Whether the user killed the connection.
fn is_killed(error: &hyper::Error) -> bool {
    io_kind(error) == Some(io::ErrorKind::ConnectionAborted)
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// A copy of a request that may be repeated.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let idempotent = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE];
    if !idempotent.contains(request.method()) || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Either::Right(Empty::new()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}
