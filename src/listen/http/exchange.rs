//! One client's HTTP connection, request by request.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderMap, PROXY_AUTHORIZATION};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use tracing::debug;
use zeroize::Zeroizing;

use super::failure::{Afterwards, Failure, Fault};
use super::form::Form;
use super::headers::{prepare_request, prepare_response};
use super::slot::Slot;
use super::upstream::{Opened, Upstream};
use crate::destination::Destination;
use crate::dial::Connected;
use crate::listen::connect::Connect;
use crate::listen::context::ProxyContext;
use crate::listen::greeting::GreetingSlot;
use crate::request::{self, Protocol, Source};

/// The content of a response: a web server's, or a page of ours.
pub(crate) type ResponseBody = Either<Incoming, Full<Bytes>>;

/// What the requests of one client share.
#[derive(Debug)]
pub(crate) struct Exchange<R: Connect> {
    context: Arc<ProxyContext<R>>,
    listener: Arc<str>,
    source: Source,
    /// Given back when the first request is complete.
    slot: Slot<GreetingSlot>,
    upstream: Upstream,
    next: Slot<Next<R::Channel>>,
}

/// What the connection becomes when the response under way has been written.
#[derive(Debug)]
pub(crate) enum Next<C> {
    /// A tunnel, after a CONNECT.
    Tunnel { client: OnUpgrade, channel: C },
    /// Another protocol, after a 101.
    Upgrade { client: OnUpgrade, server: OnUpgrade },
}

impl<R: Connect> Exchange<R> {
    pub(crate) fn new(
        context: Arc<ProxyContext<R>>,
        listener: Arc<str>,
        source: Source,
        slot: GreetingSlot,
    ) -> Self {
        let upstream = Upstream::new();
        Self {
            context,
            listener,
            source,
            slot: Slot::new(Some(slot)),
            upstream,
            next: Slot::new(None),
        }
    }

    /// Whether the first request is not complete yet.
    pub(crate) fn in_greeting(&self) -> bool {
        self.slot.is_some()
    }

    /// What follows on the HTTP part of the connection.
    pub(crate) fn next(&self) -> Option<Next<R::Channel>> {
        self.next.take()
    }

    /// Runs a future of this connection together with the connection to the web server.
    pub(crate) async fn drive<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        poll_fn(|cx| {
            let poll = Pin::new(&mut future).poll(cx);
            if poll.is_pending() {
                self.upstream.poll(cx);
            }
            poll
        })
        .await
    }

    /// Answers a request, one way or the other.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        drop(self.slot.take());
        // What is left of a refused request's content is not worth reading.
        let afterwards =
            if request.body().is_end_stream() { Afterwards::KeepAlive } else { Afterwards::Close };
        match self.try_answer(request).await {
            Ok(response) => response,
            Err(failure) => {
                // A dial has logged its own failure.
                if !matches!(failure, Failure::Dial { .. }) {
                    debug!(error = %failure, "request refused");
                }
                failure.into_response(afterwards).map(Either::Right)
            }
        }
    }

    async fn try_answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let form = Form::of(&request).ok_or(Failure::NotForAProxy)?;
        let user = self.authenticate(request.headers())?;
        let destination = form.destination(&request)?;
        let protocol = match form {
            Form::Connect => Protocol::HttpConnect,
            Form::Absolute => Protocol::Http,
        };
        let (listener, source) = (self.listener.clone(), self.source);
        let target = destination.clone().into();
        let wish = request::Request { listener, protocol, source, user, target };
        match form {
            Form::Connect => self.connect(request, &wish, &destination).await,
            Form::Absolute => self.forward(request, &wish, &destination).await,
        }
    }

    /// Checks the Basic credentials of RFC 7617, where the door asks for them.
    fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Failure> {
        let Some(credentials) = self.context.credentials() else { return Ok(None) };
        let pair = headers.get(PROXY_AUTHORIZATION).and_then(|value| basic(value.as_bytes()));
        // No pair at all is compared like a wrong one.
        let pair = pair.unwrap_or_default();
        let colon = pair.iter().position(|&byte| byte == b':').unwrap_or(pair.len());
        let (name, password) = (&pair[..colon], pair.get(colon + 1..).unwrap_or_default());
        let user = credentials.verify(name, password);
        user.map(Some).ok_or(Failure::AuthenticationRequired)
    }

    /// Dials, then answers 200 (RFC 9110 section 9.3.6).
    async fn connect(
        &self,
        mut request: Request<Incoming>,
        wish: &request::Request,
        destination: &Destination,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Connected { channel, .. } = self.dial(wish, destination).await?;
        self.next.put(Next::Tunnel { client: hyper::upgrade::on(&mut request), channel });
        let mut response = Response::new(Either::Right(Full::default()));
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Connection established"));
        Ok(response)
    }

    /// Sends a plain request on, and its response back.
    async fn forward(
        &self,
        mut request: Request<Incoming>,
        wish: &request::Request,
        destination: &Destination,
    ) -> Result<Response<ResponseBody>, Failure> {
        prepare_request(&mut request, destination).map_err(|_| Failure::TransferCoding)?;
        let client = hyper::upgrade::on(&mut request);
        let offered = request.headers().contains_key(hyper::header::UPGRADE);
        let open = async {
            let Connected { channel, way } = self.dial(wish, destination).await?;
            Ok(Opened { stream: self.context.stream(channel), way })
        };
        let request = request.map(Either::Left);
        let (mut response, way) = self.upstream.send(request, destination, open).await?;
        let fault = |fault| {
            let (destination, way) = (destination.clone(), way.clone());
            Failure::Upstream { destination, fault, way }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !offered {
                return Err(fault(Fault::Upgrade));
            }
            let server = hyper::upgrade::on(&mut response);
            self.next.put(Next::Upgrade { client, server });
        }
        prepare_response(&mut response).map_err(|_| fault(Fault::TransferCoding))?;
        Ok(response.map(Either::Left))
    }

    async fn dial(
        &self,
        wish: &request::Request,
        destination: &Destination,
    ) -> Result<Connected<R::Channel>, Failure> {
        let dialled = self.context.dial(wish).await;
        dialled.map_err(|failure| Failure::Dial { destination: destination.clone(), failure })
    }
}

/// The decoded `user:password` of a Basic field value.
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

/// More than two texts of 255 bytes and a colon take in base64.
const MAX_BASIC: usize = 1024;
