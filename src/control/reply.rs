//! Responses of the control socket and the dashboard.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{Either, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::AbortOnDropHandle;

use super::schema::Problem;
use crate::task;

/// The content of a response: complete, or a stream.
pub(crate) type Body = Either<Full<Bytes>, StreamBody>;

/// The content of a streamed response. Dropping it ends the task that writes it.
#[derive(Debug)]
pub(crate) struct StreamBody {
    body: Channel<Bytes, Infallible>,
    _writer: AbortOnDropHandle<()>,
}

/// The outcome of a request.
pub(crate) type Answer = Result<Response<Body>, Failure>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    title: String,
    details: Vec<String>,
    /// The allowed methods, if the method was wrong.
    allowed: Option<&'static str>,
}

impl StreamBody {
    /// Starts the task `write`, which may be up to `ahead` pieces ahead of the reader.
    pub(crate) fn new<F>(ahead: usize, write: impl FnOnce(Sender<Bytes, Infallible>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, body) = Channel::new(ahead);
        Self { body, _writer: task::spawn(write(sender)) }
    }
}

impl hyper::body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl Failure {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>) -> Self {
        Self { status, title: title.into(), details: Vec::new(), allowed: None }
    }

    /// An invalid request.
    pub(crate) fn bad(title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title)
    }

    /// A resource that does not exist.
    pub(crate) fn unknown(title: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, title)
    }

    /// A method that the resource does not support; `allowed` lists those it does.
    pub(crate) fn method(allowed: &'static str) -> Self {
        let title = format!("that takes {allowed}");
        Self { allowed: Some(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, title) }
    }

    pub(crate) fn with(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let Self { status, title, details, allowed } = self;
        let message = title.clone();
        let mut response =
            json(status, &Problem { status: status.as_u16(), title, message, details });
        if let Some(allowed) = allowed {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        response
    }
}

pub(crate) fn ok<T: Serialize>(content: &T) -> Response<Body> {
    json(StatusCode::OK, content)
}

pub(crate) fn json<T: Serialize>(status: StatusCode, content: &T) -> Response<Body> {
    // Serialization cannot fail: these are structures of strings and numbers.
    let text = serde_json::to_vec(content).unwrap_or_default();
    text_of(status, "application/json", text.into())
}

pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    text_of(status, "text/plain; charset=utf-8", text.into())
}

pub(crate) fn text_of(status: StatusCode, kind: &'static str, text: Bytes) -> Response<Body> {
    head(status, kind, Either::Left(Full::new(text)))
}

/// A response with headers against caching, content sniffing and embedding.
pub(crate) fn head(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fixed: [(HeaderName, &'static str); 3] =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Serves HTTP on a connection, with time limits for a client's requests and reads. A request's head is limited
/// to `most` bytes. Once `ending` completes, only the answer in progress is finished, in [`LAST_ANSWER`] at most.
pub(crate) async fn serve<T, S>(
    stream: T,
    most: usize,
    service: S,
    ending: impl Future<Output = ()>,
) -> hyper::Result<()>
where
    T: AsyncRead + AsyncWrite + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PATIENCE));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(most);
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection.with_upgrades());
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = ending => connection.as_mut().graceful_shutdown(),
    }
    timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
}

/// The time limit for the answer in progress when the server ends, among others the one to the order to stop.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// The time limit for a client to send a request, and to read.
const PATIENCE: Duration = Duration::from_secs(30);
/// The content type of RFC 9457 problem details.
const PROBLEM: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_the_answer_in_progress_and_for_no_other() {
        let (near, mut far) = duplex(1024);
        let (asked, ready) = (Notify::new(), Notify::new());
        let service = service_fn(async |_| {
            asked.notify_one();
            ready.notified().await;
            Ok::<_, Infallible>(plain(StatusCode::OK, "done"))
        });
        let serving = serve(near, 8 * 1024, service, async {
            asked.notified().await;
            ready.notify_one();
        });
        let client = async {
            far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it reads");
            let mut answer = String::new();
            far.read_to_string(&mut answer).await.expect("a whole answer");
            answer
        };
        let (served, answer) = tokio::join!(serving, client);
        served.expect("no fault");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("done"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_no_client_that_does_not_read() {
        let (near, mut far) = duplex(16);
        let service =
            service_fn(async |_| Ok::<_, Infallible>(plain(StatusCode::OK, vec![b'x'; 1000])));
        let serving = serve(near, 8 * 1024, service, async {
            far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it reads");
        });
        let ended = timeout(2 * LAST_ANSWER, serving).await;
        ended.expect("soon").expect("no fault");
    }
}
