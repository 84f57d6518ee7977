//! The web page that the demo fetches.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::control::reply::{Body, text_of};
use crate::task;

/// A web server on 127.0.0.1 with two resources: `/`, a page for people, and `/data`, a megabyte.
/// Dropping it ends the server and its connections.
#[derive(Debug)]
pub(super) struct Page {
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Page {
    /// Starts the server on a free port.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { address, _server: task::spawn(accept(listener)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The content of `/data`: [`DATA`] bytes with a period of 251 bytes.
pub(super) fn data() -> Bytes {
    (0..=250).cycle().take(DATA).collect()
}

/// Accepts connections, up to [`MAX_CONNECTIONS`] at a time; the rest are closed.
async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((socket, _)) if connections.len() < MAX_CONNECTIONS => {
                connections.spawn(serve(socket));
            }
            Ok(_) => (),
            // Usually the process is out of descriptors: pause instead of spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves one connection. Errors are visible to the client.
async fn serve(socket: TcpStream) {
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60))
        .serve_connection(TokioIo::new(socket), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(respond(request.method(), request.uri().path()))
}

/// The whole site. hyper omits the body for HEAD.
fn respond(method: &Method, path: &str) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "that takes GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    // No response may be cached, so that every fetch passes through the proxy.
    match path {
        "/" => {
            text_of(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(HTML.as_bytes()))
        }
        "/data" => text_of(StatusCode::OK, "application/octet-stream", data()),
        _ => plain(StatusCode::NOT_FOUND, "not found: there are / and /data\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    text_of(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

/// The page.
pub(super) const HTML: &str = include_str!("page.html");
/// The length of `/data`, in bytes.
pub(super) const DATA: usize = 1_000_000;
/// The most concurrent connections.
const MAX_CONNECTIONS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site() {
        let status = |method, path| respond(&method, path).status();
        assert_eq!(status(Method::GET, "/"), StatusCode::OK);
        assert_eq!(status(Method::HEAD, "/data"), StatusCode::OK);
        assert_eq!(status(Method::GET, "/other"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::POST, "/"), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn a_missing_page_gets_a_readable_answer() {
        for (method, path) in [(Method::GET, "/favicon.ico"), (Method::POST, "/")] {
            let answer = respond(&method, path);
            assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8", "{path}");
        }
        assert_eq!(respond(&Method::POST, "/").headers()[ALLOW], "GET, HEAD");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for scheme in ["http://", "https://", "src=\"", "@import", "url("] {
            assert!(!HTML.contains(scheme), "{scheme}");
        }
        assert_eq!(data().len(), DATA);
    }
}
