//! A session with an in-process server. The test holds both ends of each channel.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};
use russh::{ChannelMsg, client, server};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::OpenKind;
use super::connect::transport::Transport;
use super::session::handler::SessionHandler;
use super::session::lifespan::Lifespan;
use super::session::load::Load;
use super::session::observed::Observed;
use super::session::{Channel, Incoming, Session};
use super::trust::host_key::HostKeyPolicy;
use crate::destination::Destination;
use crate::openssh::client_config::{ClientConfig, SshOptions, StrictHostKeyChecking};
use crate::openssh::prompt::Prompter;

/// A session whose server confirms every channel, and listens on every requested address: there, it opens a
/// channel at once.
pub(crate) struct TestSession {
    session: Arc<Session>,
    opened: mpsc::UnboundedReceiver<Far>,
    cancelled: mpsc::UnboundedReceiver<u32>,
    slow: Arc<Slow>,
    server: server::Handle,
    is_line_stopped: Arc<AtomicBool>,
}

/// The client's end of the connection, which may stop reading.
struct Line {
    stream: DuplexStream,
    is_stopped: Arc<AtomicBool>,
}

/// A server that delays its answer.
#[derive(Debug, Default)]
struct Slow {
    /// Notified when [`SLOW_PORT`] is requested.
    asked: Notify,
    /// Notified to let the server answer.
    answer: Notify,
}

/// The server's end of a channel.
pub(crate) struct Far(russh::Channel<server::Msg>);

struct Server {
    opened: mpsc::UnboundedSender<Far>,
    cancelled: mpsc::UnboundedSender<u32>,
    slow: Arc<Slow>,
    /// Whether it listens on [`KEPT_PORT`].
    keeps: bool,
}

impl TestSession {
    /// Exchanges keys and logs in.
    pub(crate) async fn start() -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (sender, opened) = mpsc::unbounded_channel();
        let (cancels, cancelled) = mpsc::unbounded_channel();
        let slow = Arc::new(Slow::default());
        let slow_server = Arc::clone(&slow);
        let server = Server { opened: sender, cancelled: cancels, slow: slow_server, keeps: false };
        let (give_handle, server_handle) = oneshot::channel();
        tokio::spawn(async move {
            let running = server::run_stream(server_config(), theirs, server).await;
            let running = running.expect("a handshake");
            let _ = give_handle.send(running.handle());
            let _ = running.await;
        });
        let is_line_stopped = Arc::new(AtomicBool::new(false));
        let ours = Line { stream: ours, is_stopped: Arc::clone(&is_line_stopped) };
        let cut = CancellationToken::new();
        let observed = Arc::new(Observed::default());
        let handler = SessionHandler::new(Arc::new(any_host_key()), Arc::clone(&observed));
        let config = client::Config {
            window_size: WINDOW,
            channel_buffer_size: 1024,
            ..client::Config::default()
        };
        let transport = Transport::new(ours, &cut, &observed.traffic, &observed.outflow);
        let handshake = client::connect_stream(Arc::new(config), transport, handler);
        let mut handle = handshake.await.expect("a handshake");
        let login = handle.authenticate_none("me").await.expect("an answer");
        assert!(login.success(), "everybody may log in");
        let session = Session::new(handle, observed, cut, false, Lifespan::default(), WINDOW);
        let server = server_handle.await.expect("the server is there");
        Self { session: Arc::new(session), opened, cancelled, slow, server, is_line_stopped }
    }

    /// Opens a channel.
    pub(crate) async fn open(&mut self) -> (Channel, Far) {
        let target = Destination::parse("target.example:80", None).expect("a destination").into();
        let origin = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let channel = self.session.open(&target, origin, OpenKind::Plain).await.expect("confirmed");
        (channel, self.opened.recv().await.expect("the server is there"))
    }

    /// The session itself.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The server's end of a channel accepted at one of its listeners.
    pub(crate) async fn forwarded(&mut self) -> Far {
        self.opened.recv().await.expect("the server is there")
    }

    /// The port on which the server was asked to stop listening.
    pub(crate) async fn cancelled(&mut self) -> u32 {
        self.cancelled.recv().await.expect("the server is there")
    }

    /// Completes when [`SLOW_PORT`] was requested from the server.
    pub(crate) async fn asked_for_slow_port(&self) {
        self.slow.asked.notified().await;
    }

    /// Makes the server grant [`SLOW_PORT`].
    pub(crate) fn grant_slow_port(&self) {
        self.slow.answer.notify_one();
    }

    /// Stops the line from accepting data from the client.
    pub(crate) fn stop_line(&self) {
        self.is_line_stopped.store(true, Relaxed);
    }

    /// Makes the server end the session with this message.
    pub(crate) async fn disconnect(&self, why: &str) {
        let reason = russh::Disconnect::ByApplication;
        let result = self.server.disconnect(reason, why.into(), String::new()).await;
        result.expect("the server is there");
    }

    /// Ends the session like a lost connection.
    pub(crate) fn cut(&self) {
        self.session.cut();
    }

    /// The number of open channels.
    pub(crate) fn channels(&self) -> usize {
        self.load().channels()
    }

    /// The number of channels marked as slow readers.
    pub(crate) fn slow_readers(&self) -> usize {
        self.load().slow_readers()
    }

    /// The number of channels that block the session.
    pub(crate) fn held(&self) -> usize {
        self.load().held()
    }

    /// The number of channels that were closed from here first.
    pub(crate) fn closed_by_us(&self) -> usize {
        self.load().closed_by_us()
    }

    fn load(&self) -> &Load {
        self.session.load()
    }
}

/// Serves one client, without authentication.
pub(crate) fn serve(stream: TcpStream) {
    let (opened, cancelled) = (mpsc::unbounded_channel().0, mpsc::unbounded_channel().0);
    let server = Server { opened, cancelled, slow: Arc::default(), keeps: false };
    tokio::spawn(async move {
        let running = server::run_stream(server_config(), stream, server).await;
        let _ = running.expect("a handshake").await;
    });
}

impl Far {
    /// Sends to the client, waiting for the window. Fails if the channel is closed.
    pub(crate) async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), russh::Error> {
        self.0.data_bytes(bytes).await
    }

    /// Sends EOF.
    pub(crate) async fn eof(&self) {
        let _ = self.0.eof().await;
    }

    /// Closes the channel.
    pub(crate) async fn close(&self) {
        let _ = self.0.close().await;
    }

    /// The next event from the client; none once the channel is closed.
    pub(crate) async fn recv(&mut self) -> Option<Incoming> {
        loop {
            match self.0.wait().await? {
                ChannelMsg::Data { data } => return Some(Incoming::Data(data)),
                ChannelMsg::Eof => return Some(Incoming::Eof),
                ChannelMsg::Close => return Some(Incoming::Close),
                _ => {}
            }
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_stopped.load(Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<server::Auth, russh::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: russh::Channel<server::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        let _ = self.opened.send(Far(channel));
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut server::Session,
    ) -> Result<bool, russh::Error> {
        if *port == 0 {
            *port = CHOSEN_PORT;
        }
        if *port == SLOW_PORT {
            self.slow.asked.notify_one();
            self.slow.answer.notified().await;
            return Ok(true);
        }
        if *port == KEPT_PORT && std::mem::replace(&mut self.keeps, true) {
            return Ok(false);
        }
        let (address, port, opened) = (address.to_owned(), *port, self.opened.clone());
        let handle = session.handle();
        tokio::spawn(async move {
            let open = handle.channel_open_forwarded_tcpip(address, port, "192.0.2.1", 1234);
            if let Ok(channel) = open.await {
                let _ = opened.send(Far(channel));
            }
        });
        Ok(true)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        _: &str,
        port: u32,
        _: &mut server::Session,
    ) -> Result<bool, russh::Error> {
        let _ = self.cancelled.send(port);
        Ok(port != KEPT_PORT)
    }
}

/// The port that the server chooses for port 0.
pub(crate) const CHOSEN_PORT: u32 = 40_000;

/// A port on which the server does not stop listening, and refuses to listen again.
pub(crate) const KEPT_PORT: u32 = 4001;

/// A port that the server grants only when told to.
pub(crate) const SLOW_PORT: u32 = 4000;

fn server_config() -> Arc<server::Config> {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    Arc::new(server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        ..server::Config::default()
    })
}

/// Accepts any host key and records none.
fn any_host_key() -> HostKeyPolicy {
    let name = "me@host.example".parse().expect("a name");
    let (mut config, _) = ClientConfig::without_ssh(&name, &SshOptions::default()).expect("plain");
    config.host_keys.strict_host_key_checking = StrictHostKeyChecking::AcceptNew;
    config.host_keys.user_known_hosts_files = vec!["/dev/null".into()];
    config.host_keys.global_known_hosts_files.clear();
    HostKeyPolicy::new(&config, &Prompter::nobody())
}

/// A window in bytes, as for a distant server.
const WINDOW: u32 = 64 << 20;
