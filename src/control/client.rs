//! The client of a running program's control socket.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::guard;
use super::schema::{Event, Problem};
use crate::task;

/// A client of a running program. Each request uses a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no program answers at {path}: {cause}")]
    NotRunning { path: PathBuf, cause: io::Error },
    /// The socket belongs to another user, and not to the program.
    #[error("{path} belongs to another user")]
    Foreign { path: PathBuf },
    #[error("{path}: the program does not answer; it may be stopped, or overloaded")]
    Silent { path: PathBuf },
    #[error("{path}: the program closed the connection; it is ending, or has too many clients")]
    Closed { path: PathBuf },
    #[error("{}", .0.title)]
    Refused(Problem),
    #[error("the running program gives no answer: {0}")]
    Broken(String),
}

/// The events of a program, as it sends them.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    read: Vec<u8>,
    _connection: Connection,
    /// The length of the prefix that is known to contain no end of an event.
    searched: usize,
}

/// The task that drives the connection of a request, aborted on drop.
type Connection = AbortOnDropHandle<hyper::Result<()>>;

impl Client {
    /// A client of the program at this socket, for requests that it can answer from memory: within 5 s.
    pub(crate) fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: QUICK }
    }

    /// The same, for requests that wait for something else: a dial, a list, a server. Within a minute.
    #[must_use]
    pub(crate) fn patient(self) -> Self {
        Self { patience: SLOW, ..self }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, &()).await
    }

    pub(crate) async fn ask<T: DeserializeOwned, C: Serialize>(
        &self,
        method: Method,
        path: &str,
        content: &C,
    ) -> Result<T, ClientError> {
        let answer = timeout(self.patience, async {
            let (response, _connection) = self.send(method, path, content).await?;
            let status = response.status();
            let content = response.into_body().collect().await.map_err(|error| self.cut(error))?;
            read(status, &content.to_bytes())
        });
        answer.await.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Follows the events from now on, with the connections that match a query.
    pub(crate) async fn events(&self, query: &str) -> Result<EventStream, ClientError> {
        let path = format!("/v1/events?{query}");
        let sent = timeout(self.patience, self.send(Method::GET, &path, &())).await;
        let (response, connection) = sent.unwrap_or_else(|_| Err(self.silent()))?;
        if response.status() != StatusCode::OK {
            return Err(broken(response.status()));
        }
        let body = response.into_body();
        Ok(EventStream { body, read: Vec::new(), searched: 0, _connection: connection })
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent { path: self.socket.clone() }
    }

    /// The error of a request that got no complete answer.
    fn cut(&self, error: hyper::Error) -> ClientError {
        let is_io = error.source().and_then(<dyn Error>::downcast_ref::<io::Error>).is_some();
        if is_io || error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            ClientError::Closed { path: self.socket.clone() }
        } else {
            broken(error)
        }
    }

    async fn send<C: Serialize>(
        &self,
        method: Method,
        path: &str,
        content: &C,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|cause| match cause.kind() {
                // The accept queue is full.
                io::ErrorKind::WouldBlock => self.silent(),
                _ => ClientError::NotRunning { path: self.socket.clone(), cause },
            })?;
        if !guard::may_be_asked(&stream) {
            return Err(ClientError::Foreign { path: self.socket.clone() });
        }
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = task::spawn(connection);
        let content = if method == Method::GET {
            Bytes::new()
        } else {
            serde_json::to_vec(content).map_err(broken)?.into()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(content))
            .map_err(broken)?;
        let response = sender.send_request(request).await.map_err(|error| self.cut(error))?;
        Ok((response, connection))
    }
}

impl EventStream {
    /// The next event; `None` when the program has ended, with or without closing the stream.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let rest = &self.read[self.searched..];
            if let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
                let end = std::mem::take(&mut self.searched) + end;
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                let data = block.split(|byte| *byte == b'\n');
                let data = data.filter_map(|line| line.strip_prefix(b"data: "));
                match data.map(serde_json::from_slice).next() {
                    Some(Ok(event)) => return Some(event),
                    // An event of a kind that this version does not know.
                    Some(Err(_)) | None => continue,
                }
            }
            self.searched = self.read.len().saturating_sub(1);
            let frame = self.body.frame().await?.ok()?;
            self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    }
}

fn read<T: DeserializeOwned>(status: StatusCode, content: &[u8]) -> Result<T, ClientError> {
    if status.is_success() {
        return serde_json::from_slice(content).map_err(broken);
    }
    match serde_json::from_slice(content) {
        Ok(problem) => Err(ClientError::Refused(problem)),
        Err(_) => Err(broken(status)),
    }
}

fn broken(why: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(why.to_string())
}

/// The time limit for answers that the program has at hand, or finds with a short probe.
const QUICK: Duration = Duration::from_secs(5);
/// The time limit for everything else: a ping waits for a dial, a reload for lists.
const SLOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_closes_the_connection() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("s");
        let client = Client::new(&socket);
        for is_read in [true, false] {
            let listener = UnixListener::bind(&socket).expect("a socket");
            // What is not read makes the end a reset.
            let closing = async {
                let (mut stream, _) = listener.accept().await.expect("a client");
                stream.readable().await.expect("a request");
                if is_read {
                    stream.read_buf(&mut Vec::with_capacity(4096)).await.expect("a request");
                }
                drop(listener);
            };
            let (told, ()) = tokio::join!(client.get::<()>("/"), closing);
            assert!(matches!(told, Err(ClientError::Closed { .. })), "{told:?}");
            std::fs::remove_file(&socket).expect("removed");
        }
        let told = client.get::<()>("/").await;
        assert!(matches!(told, Err(ClientError::NotRunning { .. })), "{told:?}");
    }
}
