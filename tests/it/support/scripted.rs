//! A scriptable SSH server, for behaviour that a real one cannot be made to show.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::server::{VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelOpenFailure};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::login::Login;
use channels::{flood, forward, intrude, perform};

mod channels;

pub(crate) use channels::{HERE, NEXT_PORT, NO_PORT};

/// The server. It accepts the user's key and treats all channels alike, except those to the port
/// [`ECHO`].
#[derive(Debug)]
pub(crate) struct Scripted {
    login: Login,
    port: u16,
    seen: Arc<Mutex<Seen>>,
    runtime: Option<Runtime>,
}

/// The port for which each channel is an echo (RFC 862), whatever the script.
pub(crate) const ECHO: u16 = 7;

/// The user's password, accepted besides the key.
pub(crate) const PASSWORD: &str = "open sesame";

/// What the server does with a channel request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// Refuses, with a code and a text (RFC 4254 section 5.1).
    Refuse(u32, &'static str),
    /// Never answers.
    Ignore,
    /// Confirms after a delay, and sends back what it receives.
    EchoAfter(Duration),
    /// Confirms, and closes without sending anything.
    Close,
    /// Sends this many bytes of [`Content`], and closes without an EOF.
    SendAndClose(u64),
    /// Sends this many bytes and an EOF, and keeps the channel until the client closes it.
    SendAndEof(u64),
    /// Waits for the client's first data, then sends this many bytes, sixteen per packet, and an EOF.
    SendTiny(u64),
    /// Waits for the client's first data, sends this many bytes, and disconnects the session with a
    /// text (RFC 4253 section 11.1).
    SendAndDisconnect(u64, &'static str),
}

/// The events at a scripted server so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The number of logins.
    pub(crate) sessions: usize,
    /// The requested destinations, in order.
    pub(crate) asked: Vec<(String, u32)>,
    /// The number of channels closed by the client or by the script.
    pub(crate) ended: usize,
    /// Channels that the server opened unasked, and that the client accepted.
    pub(crate) accepted: Vec<&'static str>,
    /// Such channels that the client refused.
    pub(crate) refused: Vec<&'static str>,
    /// The places at which it was asked to listen.
    pub(crate) listens: Vec<(String, u32)>,
    /// The places at which it was asked to stop listening.
    pub(crate) cancelled: Vec<(String, u32)>,
}

/// Whether the server opens channels unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    Good,
    Intruding,
    /// Without end.
    Flooding,
    Forwarding,
}

impl Scripted {
    /// Starts the server.
    pub(crate) fn start(script: Script) -> Self {
        Self::with(script, Manners::Good)
    }

    /// Starts a server that after the login opens a channel of each kind unasked.
    pub(crate) fn intruding(script: Script) -> Self {
        Self::with(script, Manners::Intruding)
    }

    /// Starts a server that claims to listen wherever it is asked to, and opens channels for that
    /// place and for others.
    pub(crate) fn forwarding(script: Script) -> Self {
        Self::with(script, Manners::Forwarding)
    }

    /// Starts a server that after the login opens channels unasked for as long as the session lasts.
    pub(crate) fn flooding(script: Script) -> Self {
        Self::with(script, Manners::Flooding)
    }

    fn with(script: Script, manners: Manners) -> Self {
        let login = Login::new();
        let key = russh::keys::load_secret_key(login.host_key(), None).expect("the host key");
        let config = Arc::new(Config {
            keys: vec![key],
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            ..Config::default()
        });
        let runtime = Runtime::new().expect("a runtime");
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a loopback port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let config = Arc::clone(&config);
                let seen = Arc::clone(&shared);
                let connection = Connection { script, manners, seen, unanswered: Vec::new() };
                tokio::spawn(async move {
                    if let Ok(session) = run_stream(config, stream, connection).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { login, port, seen, runtime: Some(runtime) }
    }

    /// An `ssh_config` for the server.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.login.ssh_config(self.port, &[])
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// An `ssh_config` for the server, through the port of a link.
    pub(crate) fn ssh_config_through(&self, port: u16) -> PathBuf {
        self.login.ssh_config(port, &[])
    }

    /// The events so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Connection {
    script: Script,
    manners: Manners,
    seen: Arc<Mutex<Seen>>,
    /// Kept because dropping a handle answers it.
    unanswered: Vec<ChannelOpenHandle>,
}

impl Connection {
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        note(&self.seen, what);
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if password == PASSWORD { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        self.note(|seen| seen.sessions += 1);
        match self.manners {
            Manners::Good | Manners::Forwarding => {}
            Manners::Intruding => {
                tokio::spawn(intrude(session.handle(), Arc::clone(&self.seen)));
            }
            Manners::Flooding => {
                tokio::spawn(flood(session.handle(), Arc::clone(&self.seen)));
            }
        }
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.note(|seen| seen.listens.push((address.to_owned(), *port)));
        if self.manners == Manners::Forwarding {
            let (handle, seen) = (session.handle(), Arc::clone(&self.seen));
            tokio::spawn(forward(handle, seen, address.to_owned(), *port));
        }
        Ok(self.manners == Manners::Forwarding)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.note(|seen| seen.cancelled.push((address.to_owned(), port)));
        Ok(true)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.note(|seen| seen.asked.push((host.to_owned(), port)));
        let script =
            if port == u32::from(ECHO) { Script::EchoAfter(Duration::ZERO) } else { self.script };
        match script {
            Script::Refuse(code, text) => {
                reply.reject(ChannelOpenFailure::Other { code, reason: text.to_owned() }).await;
            }
            Script::Ignore => self.unanswered.push(reply),
            script => {
                let (handle, seen) = (session.handle(), Arc::clone(&self.seen));
                tokio::spawn(async move {
                    perform(script, channel, reply, handle).await;
                    note(&seen, |seen| seen.ended += 1);
                });
            }
        }
        Ok(())
    }
}

fn note(seen: &Mutex<Seen>, what: impl FnOnce(&mut Seen)) {
    what(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
}
