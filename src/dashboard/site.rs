//! Routes requests to the parts of the dashboard.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clash::{self, Answered};
use super::folder::Folder;
use super::gate::{Gate, Pass, Peer, is_upgrade};
use super::{page, socket};
use crate::control::query::Query;
use crate::control::reply::{Answer, Body, Failure, plain};
use crate::control::{Keys, Program};

/// Everything that the dashboard's address serves.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) program: Program,
    pub(super) port: u16,
    pub(super) gate: Gate,
    pub(super) keys: Arc<Keys>,
    pub(super) folder: Option<Folder>,
    /// A permit for each connection, and for each stream.
    pub(super) clients: Semaphore,
    /// A permit for each connection of another user.
    pub(super) strangers: Semaphore,
    pub(super) streams: Arc<Semaphore>,
    /// The WebSocket tasks, which end at shutdown.
    pub(super) sockets: TaskTracker,
}

impl Site {
    /// Answers a request. Streams end when `shutdown` is cancelled.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        shutdown: &CancellationToken,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let answer = match self.gate.check(&parts, peer, &self.keys) {
            // Links are for browsers too, so another user must not redeem one.
            Ok(_) if peer == Peer::Stranger && code(&parts.uri).is_some() => Ok(page::locked()),
            Ok(pass) => self.route(Request::from_parts(parts, body), pass, shutdown).await,
            Err(failure) => Err(failure),
        };
        sealed(answer.unwrap_or_else(Failure::into_response))
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        pass: Pass,
        shutdown: &CancellationToken,
    ) -> Answer {
        let path = request.uri().path().to_owned();
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match (path.as_str(), pass) {
            ("/livez", _) | ("/metrics" | "/readyz", Pass::Shown) => {
                Ok(self.program.answer(request).await)
            }
            // Only those who may see the state learn what is missing.
            ("/readyz", Pass::Missing) => {
                let status = self.program.answer(request).await.status();
                let word = if status.is_success() { "ok\n" } else { "not ready\n" };
                Ok(plain(status, word))
            }
            // Only a GET redeems a link; a HEAD, as of a link preview, does not.
            ("/", _) if *request.method() == Method::GET && code(request.uri()).is_some() => {
                Ok(self.enter(&request, pass))
            }
            (_, Pass::Missing) if is_get && wants_html(&request) => Ok(page::locked()),
            (_, Pass::Missing) => Err(Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized")),
            ("/", Pass::Shown) if !wants_html(&request) => self.clash(request, shutdown).await,
            (path, Pass::Shown) if path.starts_with("/v1/") => {
                if !is_for_browsers(request.method(), path) {
                    let why = "that is for the control socket";
                    return Err(Failure::new(StatusCode::FORBIDDEN, why));
                }
                Ok(self.program.answer(request).await)
            }
            ("/ui", Pass::Shown) if is_get && self.folder.is_some() => Ok(redirect("/ui/")),
            (path, Pass::Shown) if path.starts_with("/ui/") => {
                let folder = self.folder.as_ref().filter(|_| is_get);
                let folder = folder.ok_or_else(|| Failure::unknown("Resource not found"))?;
                folder.get(&path["/ui/".len()..]).await
            }
            (path, Pass::Shown) => match page::at(path).filter(|_| is_get) {
                Some(file) => Ok(file),
                None => self.clash(request, shutdown).await,
            },
        }
    }

    /// Sets the cookie in exchange for the code of a link.
    fn enter(&self, request: &Request<Incoming>, pass: Pass) -> Response<Body> {
        let code = code(request.uri()).unwrap_or_default();
        if !self.keys.redeem(code.as_bytes()) {
            // A link that was used before is invalid.
            return if pass == Pass::Shown { redirect("/") } else { page::locked() };
        }
        let (name, cookie) = (&self.gate.cookie, self.keys.cookie.text());
        let cookie = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict");
        let mut response = redirect("/");
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    async fn clash(&self, request: Request<Incoming>, shutdown: &CancellationToken) -> Answer {
        match clash::answer(&self.program, &request).await? {
            Answered::Whole(response) => Ok(response),
            Answered::Stream(feed) => {
                let permit = Arc::clone(&self.streams).try_acquire_owned();
                let permit = permit.map_err(|_| {
                    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open")
                })?;
                if is_upgrade(request.headers()) {
                    socket::open(request, feed, permit, shutdown.clone(), &self.sockets)
                } else {
                    Ok(feed.lines(permit, shutdown.clone()))
                }
            }
        }
    }
}

fn code(address: &Uri) -> Option<String> {
    Query::new(address.query()).take("code")
}

/// Whether the request is for a page, as from a browser.
fn wants_html(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Whether this request of `/v1` is permitted from a browser.
fn is_for_browsers(method: &Method, path: &str) -> bool {
    let connections = path == "/v1/connections" || path.starts_with("/v1/connections/");
    match *method {
        Method::GET | Method::HEAD => true,
        Method::DELETE => connections,
        Method::POST => path == "/v1/ping" || path == "/v1/reload",
        _ => false,
    }
}

fn redirect(place: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(place));
    response
}

/// A response that other sites can neither embed nor read, and that sends them no referrer.
fn sealed(mut response: Response<Body>) -> Response<Body> {
    let same_origin = HeaderValue::from_static("same-origin");
    let is_refused = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, same_origin.clone());
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, same_origin);
    if is_refused {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
