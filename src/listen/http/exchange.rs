//! The HTTP connection of one client, request by request.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tracing::debug;
use zeroize::Zeroizing;

use super::aside::Aside;
use super::content::Content;
use super::failure::{Afterwards, Failure, Fault};
use super::form;
use super::headers::{prepare_request, prepare_response};
use super::hops;
use super::local::{self, Access, Local};
use super::slot::Slot;
use super::upstream::{Asked, Terms, Upstream};
use super::wire::request::{Malformed, RequestHead};
use super::wire::target::{Path, Target};
use crate::destination::Destination;
use crate::dial::Connected;
use crate::listen::connect::{Connect, in_one_line};
use crate::listen::context::ProxyContext;
use crate::listen::greeting::GreetingSlot;
use crate::request::{self, Protocol, Source};

/// The content of a response: a web server's, or a page of this program.
pub(crate) type ResponseBody = Either<Content, Full<Bytes>>;

/// The state that the requests of one client share.
pub(crate) struct Exchange<R: Connect> {
    context: Arc<ProxyContext<R>>,
    origin: Origin,
    /// Released when the first request is complete.
    slot: Slot<GreetingSlot>,
    aside: Arc<Aside>,
    upstream: Upstream,
    next: Slot<Next<R::Channel>>,
}

/// The addresses of a client's connection.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) listener: Arc<str>,
    pub(crate) source: Source,
    /// This end of the connection, if it has an address.
    pub(crate) local: Option<SocketAddr>,
}

/// What the connection becomes after the current response.
#[derive(Debug)]
pub(crate) enum Next<C> {
    /// A tunnel, after a CONNECT.
    Tunnel { client: OnUpgrade, channel: C },
    /// Another protocol, after a 101.
    Upgrade { client: OnUpgrade, server: OnUpgrade },
}

/// A request to be forwarded, and its destination.
#[derive(Clone, Copy)]
struct Onward<'a> {
    destination: &'a Destination,
    head: &'a RequestHead,
    path: &'a Path,
}

impl<R: Connect> Exchange<R> {
    pub(crate) fn new(
        context: Arc<ProxyContext<R>>,
        origin: Origin,
        slot: GreetingSlot,
        aside: Arc<Aside>,
    ) -> Self {
        let upstream = Upstream::new(aside.clone());
        let (slot, next) = (Slot::new(slot), Slot::default());
        Self { context, origin, slot, aside, upstream, next }
    }

    /// Whether the first request is still incomplete.
    pub(crate) fn in_greeting(&self) -> bool {
        self.slot.is_some()
    }

    /// What follows the HTTP part of the connection.
    pub(crate) fn next(&self) -> Option<Next<R::Channel>> {
        self.next.take()
    }

    /// Polls a future of this connection together with the connection to the web server.
    pub(crate) async fn drive<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
                    return Poll::Ready(output);
                }
                self.upstream.poll(cx);
                let is_over = self.aside.has_parted.swap(false, Relaxed);
                if is_over {
                    // The web server waits for content that need not come.
                    self.upstream.close();
                }
                // An interim response is written when the client's stream is next polled.
                if !self.aside.has_news.swap(false, Relaxed) && !is_over {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Lets an upload end after its response has been sent.
    pub(crate) async fn settle(&self) {
        self.drive(pin!(self.upstream.settle())).await;
    }

    /// Answers a request, successfully or not.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        drop(self.slot.take());
        // Each request has exactly one head.
        let head = self.aside.head.take().unwrap_or(Err(Malformed::RequestLine));
        // The remaining content of a refused request is not worth reading. RFC 9931 section 8: what follows a
        // refused CONNECT may be meant for the tunnel, and chosen by someone else than the client.
        let is_unread = !request.body().is_end_stream();
        let closes = is_unread
            || request.method() == Method::CONNECT
            || head.as_ref().is_ok_and(|head| head.closes);
        let answered = match head {
            Ok(head) => self.try_answer(request, head).await,
            Err(malformed) => Err(malformed.into()),
        };
        match answered {
            Ok(mut response) => {
                // RFC 9112 section 9.6: the same holds for the content of a request that is answered here.
                if is_unread && matches!(response.body(), Either::Right(_)) {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Err(failure) => {
                // A dial logs its own failure.
                if !matches!(failure, Failure::Dial { .. }) {
                    debug!(error = in_one_line(&failure), "request refused");
                }
                let afterwards = if closes { Afterwards::Close } else { Afterwards::KeepAlive };
                failure.into_response(afterwards).map(Either::Right)
            }
        }
    }

    async fn try_answer(
        &self,
        mut request: Request<Incoming>,
        head: RequestHead,
    ) -> Result<Response<ResponseBody>, Failure> {
        // A path or less is all that a hostile web page can make a browser send here.
        let wanted = match (request.method(), &head.target) {
            (&Method::CONNECT, target) => form::connect(target).map(|found| (found, None)),
            (_, Target::Absolute { scheme, authority, path }) => {
                form::absolute(scheme, authority).map(|found| (found, Some(path)))
            }
            (_, Target::Origin(path)) => {
                return self.local(&request, path).map(|page| page.map(Either::Right));
            }
            (_, Target::Asterisk | Target::Other(_)) => return Err(Failure::NotForAProxy),
        };
        let user = self.authenticate(request.headers()).await?;
        let (destination, path) = wanted?;
        let protocol = if path.is_some() { Protocol::Http } else { Protocol::HttpConnect };
        let Origin { listener, source, .. } = &self.origin;
        let target = destination.clone().into();
        let dial_request = request::Request {
            listener: Arc::clone(listener),
            protocol,
            source: *source,
            user,
            target,
        };
        let Some(path) = path else {
            return self.connect(request, &dial_request, &destination).await;
        };
        let method = request.method().clone();
        if hops::is_last(&method, request.headers_mut()) {
            let answer = hops::answer(&method, &destination, path, request.headers());
            return Ok(answer.map(Either::Right));
        }
        let asked = Onward { destination: &destination, head: &head, path };
        self.forward(request, &dial_request, asked).await
    }

    /// A page of this program.
    fn local<B>(
        &self,
        request: &Request<B>,
        path: &Path,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let asked = Local::of(request.method(), path, request.headers(), self.origin.local);
        let (page, reached) = asked.ok_or(Failure::NotForAProxy)?;
        let access =
            if self.context.asks_for_a_password() { Access::Password } else { Access::Open };
        // The rules name hosts, and so are only shown to permitted users.
        let pac = match access {
            Access::Open => self.context.connect.pac(&reached),
            Access::Password => None,
        };
        match page {
            Local::Welcome => Ok(local::welcome(&reached, access, pac.is_some())),
            Local::Pac => pac.map(local::pac).ok_or(Failure::NotForAProxy),
        }
    }

    /// Checks the Basic credentials of RFC 7617, if the listener requires them.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Failure> {
        let Some(checker) = self.context.checker(self.origin.source) else { return Ok(None) };
        // Clients send their first request without credentials, which is no guess.
        let field = headers.get(PROXY_AUTHORIZATION).ok_or(Failure::AuthenticationRequired)?;
        // A malformed pair is compared like a wrong one.
        let pair = basic(field.as_bytes()).unwrap_or_default();
        let colon = pair.iter().position(|&byte| byte == b':').unwrap_or(pair.len());
        let (name, password) = (&pair[..colon], pair.get(colon + 1..).unwrap_or_default());
        let user = checker.verify(name, password).await;
        user.map(Some).ok_or(Failure::AuthenticationRequired)
    }

    /// Dials, then answers 200 (RFC 9110 section 9.3.6).
    async fn connect(
        &self,
        mut request: Request<Incoming>,
        dial_request: &request::Request,
        destination: &Destination,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Connected { channel, .. } = self.dial(dial_request, destination).await?;
        self.next.put(Next::Tunnel { client: hyper::upgrade::on(&mut request), channel });
        let mut response = Response::new(Either::Right(Full::default()));
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Connection established"));
        Ok(response)
    }

    /// Forwards a plain request, and its response back.
    async fn forward(
        &self,
        mut request: Request<Incoming>,
        dial_request: &request::Request,
        onward: Onward<'_>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Onward { destination, head, path } = onward;
        let asks_of_all = request.method() == Method::OPTIONS && path.is_empty();
        // RFC 9112 section 3.2.4: such an OPTIONS request is about the server as a whole.
        let uri = if asks_of_all { Some(Uri::from_static("*")) } else { path.uri() };
        let raw = uri.is_none().then_some(path);
        prepare_request(&mut request, head, destination, uri.unwrap_or_default());
        let client = hyper::upgrade::on(&mut request);
        let offered = request.headers().contains_key(hyper::header::UPGRADE);
        let open = async {
            let Connected { channel, way } = self.dial(dial_request, destination).await?;
            Ok(Connected { channel: self.context.connect.stream(channel), way })
        };
        let terms = Terms {
            destination: destination.clone(),
            user: dial_request.user.clone(),
            replaced: self.context.connect.replaced(),
        };
        let asked = Asked { terms: &terms, head, raw };
        let (mut response, way) =
            self.upstream.send(request.map(Either::Left), asked, open).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !offered {
                let (destination, fault) = (destination.clone(), Fault::Upgrade);
                return Err(Failure::Upstream { destination, fault, way });
            }
            self.aside.has_switched.store(true, Relaxed);
            let server = hyper::upgrade::on(&mut response);
            self.next.put(Next::Upgrade { client, server });
        }
        prepare_response(&mut response);
        if self.aside.has_more.load(Relaxed) {
            // The rest of the request may never come: a client that waits for a 100 withholds it.
            response.headers_mut().append(CONNECTION, HeaderValue::from_static("close"));
            return Ok(response.map(|body| Either::Left(Content::last(body, self.aside.clone()))));
        }
        Ok(response.map(|body| Either::Left(Content::new(body))))
    }

    async fn dial(
        &self,
        dial_request: &request::Request,
        destination: &Destination,
    ) -> Result<Connected<R::Channel>, Failure> {
        let dialled = self.context.dial(dial_request).await;
        dialled.map_err(|failure| Failure::Dial { destination: destination.clone(), failure })
    }
}

/// The decoded `user:password` of a Basic credential.
fn basic(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let space = value.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = value.split_at(space);
    let text = rest.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"basic") || text.len() > MAX_BASIC {
        return None;
    }
    let mut pair = Zeroizing::new(vec![0; MAX_BASIC]);
    let length = BASE64_STANDARD.decode_slice(text, &mut pair).ok()?;
    pair.truncate(length);
    Some(pair)
}

/// The maximum length of the base64 text, enough for two texts of 255 bytes and a colon.
const MAX_BASIC: usize = 1024;
