//! A [`Connect`] for tests of the proxy, whose far side is the test itself.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy_bidirectional,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connect::Connect;
use super::greeting::GreetingLimits;
use super::handler::{Accepted, Handler as _};
use super::proxy_auth::ProxyCredentials;
use super::proxy_handler::ProxyHandler;
use super::stream::ClientStream;
use crate::destination::Destination;
use crate::dial::{Carrier, Connected, DialError, DialFailure, Way};
use crate::request::{Request, Source};

/// The result of every dial.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Connect,
    Fail(DialError),
    /// The dial never completes. Its future holds a clone of this.
    Hang(Arc<()>),
}

pub(crate) struct TestConnect {
    outcome: Outcome,
    dialled: mpsc::UnboundedSender<Dialled>,
    replaced: Arc<AtomicU64>,
}

/// A dial: its request, and the far side of the channel if there is one.
pub(crate) struct Dialled {
    pub(crate) request: Request,
    pub(crate) far: Option<Far>,
}

/// The web server's end of a channel.
pub(crate) struct Far {
    pub(crate) stream: DuplexStream,
    cut: Arc<OnceLock<ErrorKind>>,
}

/// The proxy's end. Reads fail once the far side has been cut.
pub(crate) struct TestChannel {
    stream: DuplexStream,
    cut: Arc<OnceLock<ErrorKind>>,
}

/// A proxy with a listening socket, whose far side is the test.
pub(crate) struct TestProxy {
    listener: TcpListener,
    pub(crate) handler: Arc<ProxyHandler<TestConnect>>,
    pub(crate) shutdown: CancellationToken,
    /// The number of times the rules were replaced.
    pub(crate) replaced: Arc<AtomicU64>,
    dialled: mpsc::UnboundedReceiver<Dialled>,
}

impl TestProxy {
    pub(crate) async fn new(outcome: Outcome) -> Self {
        Self::with(outcome, None, GreetingLimits::default()).await
    }

    pub(crate) async fn with(
        outcome: Outcome,
        credentials: Option<ProxyCredentials>,
        limits: GreetingLimits,
    ) -> Self {
        let (connect, dialled) = TestConnect::new(outcome);
        let replaced = connect.replaced.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let handler = Arc::new(ProxyHandler::new(connect, credentials.map(Arc::new), limits));
        Self { listener, handler, shutdown: CancellationToken::new(), replaced, dialled }
    }

    /// A client, and the task that serves it.
    pub(crate) async fn client(&self) -> (TcpStream, JoinHandle<()>) {
        let address = self.listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("room in the queue");
        let (stream, source) = self.listener.accept().await.expect("a client");
        let accepted = Accepted {
            stream: stream.into(),
            source: Source::Tcp(source),
            listener: "test:1".into(),
        };
        let task = tokio::spawn(self.handler.clone().serve(accepted, self.shutdown.clone()));
        (client, task)
    }

    /// Sends `bytes` as a client, and reads up to EOF.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut client, task) = self.client().await;
        client.write_all(bytes).await.expect("sent");
        let answer = read_to_end(&mut client).await;
        drop(client);
        task.await.expect("no panic");
        answer
    }

    /// Waits for the next dial.
    pub(crate) async fn dialled(&mut self) -> Dialled {
        let dialled = timeout(HANG, self.dialled.recv()).await;
        dialled.expect("a dial in time").expect("the handler is open")
    }

    /// A dial that was already made.
    pub(crate) fn dialled_already(&mut self) -> Option<Dialled> {
        self.dialled.try_recv().ok()
    }

    pub(crate) fn no_dial(&mut self) {
        assert!(self.dialled.try_recv().is_err(), "something was dialled");
    }
}

impl Dialled {
    pub(crate) fn far(self) -> Far {
        self.far.expect("a channel")
    }
}

impl Far {
    /// Ends the channel like a lost session.
    pub(crate) fn cut(self) {
        self.cut.set(ErrorKind::ConnectionReset).expect("once");
    }

    /// Ends the channel like a kill by the user.
    pub(crate) fn kill(self) {
        self.cut.set(ErrorKind::ConnectionAborted).expect("once");
    }

    /// Reads the head of a message, up to its empty line.
    pub(crate) async fn head(&mut self) -> String {
        head(&mut self.stream).await
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("the channel is open");
    }
}

impl TestConnect {
    /// A connect with this result, and the receiver of its dials.
    pub(crate) fn new(outcome: Outcome) -> (Self, mpsc::UnboundedReceiver<Dialled>) {
        let (sender, dialled) = mpsc::unbounded_channel();
        (Self { outcome, dialled: sender, replaced: Arc::default() }, dialled)
    }

    /// A connect whose dials fail.
    pub(crate) fn failing(error: DialError) -> Self {
        Self::new(Outcome::Fail(error)).0
    }
}

impl Connect for TestConnect {
    type Channel = TestChannel;
    type Stream = TestChannel;

    async fn dial(&self, request: &Request) -> Result<Connected<TestChannel>, DialFailure> {
        let request = request.clone();
        match &self.outcome {
            Outcome::Connect => {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let cut = Arc::<OnceLock<_>>::default();
                let far = Some(Far { stream: far, cut: cut.clone() });
                let _ = self.dialled.send(Dialled { request, far });
                Ok(Connected { channel: TestChannel { stream: near, cut }, way: way() })
            }
            Outcome::Fail(error) => {
                let _ = self.dialled.send(Dialled { request, far: None });
                Err(DialFailure { error: error.clone(), way: way() })
            }
            Outcome::Hang(token) => {
                let _held = token.clone();
                let _ = self.dialled.send(Dialled { request, far: None });
                pending().await
            }
        }
    }

    async fn relay(&self, mut client: ClientStream, early: Bytes, mut channel: TestChannel) {
        channel.write_all(&early).await.expect("room");
        if copy_bidirectional(&mut client, &mut channel).await.is_err() {
            client.reset();
        }
    }

    fn stream(&self, channel: TestChannel) -> TestChannel {
        channel
    }

    fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    fn pac(&self, proxy: &Destination) -> Option<String> {
        Some(format!("// by way of {proxy}"))
    }
}

impl AsyncRead for TestChannel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() == before
            && let Some(cut) = self.cut.get()
        {
            return Poll::Ready(Err((*cut).into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TestChannel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The route of every request.
fn way() -> Way {
    Way { rule: Some("test<rule>".into()), carrier: Carrier::Server("test<server>".into()) }
}

/// Reads to EOF; a reset fails the test.
pub(crate) async fn read_to_end<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut all = Vec::new();
    let read = timeout(HANG, stream.read_to_end(&mut all)).await.expect("an end in time");
    read.expect("a clean end");
    all
}

/// Reads the head of a message, up to its empty line.
pub(crate) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("more of the head"));
        }
    };
    timeout(HANG, read).await.expect("a head in time");
    String::from_utf8(head).expect("ASCII")
}

/// Reads exactly `length` bytes.
pub(crate) async fn take<S: AsyncRead + Unpin>(stream: &mut S, length: usize) -> String {
    let mut bytes = vec![0; length];
    let read = timeout(HANG, stream.read_exact(&mut bytes)).await.expect("enough in time");
    read.expect("enough");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Credentials with the users `ada` and `bob`, password `secret`.
pub(crate) fn credentials() -> ProxyCredentials {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("users");
    std::fs::write(&path, "ada:secret\nbob:secret\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    ProxyCredentials::read(&path).expect("a good file")
}

/// A test that waits longer hangs.
pub(crate) const HANG: Duration = Duration::from_secs(60);
