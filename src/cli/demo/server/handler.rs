//! One session of the demo's server: who may log in, and which channels may be opened.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The handler of one session. The defaults of the trait refuse channels other than `direct-tcpip`, global
/// requests, and logins other than with the one key.
pub(super) struct SessionHandler {
    key: Arc<PublicKey>,
    channels: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl SessionHandler {
    pub(super) fn new(key: Arc<PublicKey>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { key, channels: Arc::new(Semaphore::new(MAX_CHANNELS)), tasks, stop }
    }

    /// A handler for another session, with its own channel limit.
    pub(super) fn for_new_session(&self) -> Self {
        Self::new(Arc::clone(&self.key), self.tasks.clone(), self.stop.clone())
    }

    fn check(&self, user: &str, key: &PublicKey) -> Auth {
        if user == USER && key.key_data() == self.key.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for SessionHandler {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.check(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.check(user, key.public_key))
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let targets = targets(host, port);
        if targets.is_empty() {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let Ok(permit) = Arc::clone(&self.channels).try_acquire_owned() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        // A task of its own, so that a slow target holds up nothing else.
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(forward(targets, channel, reply)).await;
            drop(permit);
        });
        Ok(())
    }
}

/// The addresses to try for a request, in order; empty if it is not permitted. Only loopback addresses and the
/// name `localhost` (RFC 6761 section 6.3) are permitted; nothing is looked up.
fn targets(host: &str, port: u32) -> Vec<SocketAddr> {
    let Some(port) = u16::try_from(port).ok().filter(|port| *port != 0) else {
        return Vec::new();
    };
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return both.map(|ip| SocketAddr::new(ip, port)).to_vec();
    }
    let ip = host.parse::<IpAddr>().ok().filter(|ip| ip.to_canonical().is_loopback());
    ip.map(|ip| SocketAddr::new(ip, port)).into_iter().collect()
}

/// Connects, answers, and relays.
async fn forward(targets: Vec<SocketAddr>, channel: Channel<Msg>, reply: ChannelOpenHandle) {
    match tokio::time::timeout(CONNECT, TcpStream::connect(&*targets)).await {
        Ok(Ok(socket)) => {
            // A failure is ignored: the option only speeds up small answers.
            let _ = socket.set_nodelay(true);
            reply.accept().await;
            relay(socket, channel).await;
        }
        Ok(Err(error)) => reply.reject(connect_failed(&error)).await,
        Err(_) => {
            let code = ChannelOpenFailure::ConnectFailed.code();
            let reason = String::from("Connection timed out");
            reply.reject(ChannelOpenFailure::Other { code, reason }).await;
        }
    }
}

/// The failure with the text that sshd would send: the system's, without the error number.
fn connect_failed(error: &io::Error) -> ChannelOpenFailure {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default().to_owned();
    ChannelOpenFailure::Other { code: ChannelOpenFailure::ConnectFailed.code(), reason }
}

/// Relays until both sides have ended, or one fails.
async fn relay(socket: TcpStream, channel: Channel<Msg>) {
    let (from_client, to_client) = channel.split();
    let (from_target, to_target) = socket.into_split();
    let client_done = Notify::new();
    let done = async {
        // A target that resets its connection gets no EOF, so that the client does not take the cut for an end.
        if pump_down(from_target, &to_client).await.is_ok() {
            client_done.notified().await;
        }
    };
    tokio::select! {
        () = pump_up(from_client, to_target, &client_done) => (),
        () = done => (),
    }
    // This is redundant after the client's CLOSE, and fails harmlessly if the session is gone.
    let _ = to_client.close().await;
}

/// Copies from the target to the client, until the target's EOF.
async fn pump_down(mut from: OwnedReadHalf, to: &ChannelWriteHalf<Msg>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ);
        if from.read_buf(&mut buffer).await? == 0 {
            return to.eof().await.map_err(io::Error::other);
        }
        to.data_bytes(buffer.split().freeze()).await.map_err(io::Error::other)?;
    }
}

/// Copies from the client to the target. Passes on the client's EOF, and continues until its CLOSE.
async fn pump_up(mut from: ChannelReadHalf, to: OwnedWriteHalf, client_done: &Notify) {
    let mut to = Some(to);
    loop {
        match from.wait().await {
            Some(ChannelMsg::Data { data }) => {
                // A target that reads no more may still send.
                if let Some(target) = &mut to
                    && target.write_all(&data).await.is_err()
                {
                    to = None;
                }
            }
            Some(ChannelMsg::Eof) => {
                // Dropping this half shuts it down.
                to = None;
                client_done.notify_one();
            }
            Some(ChannelMsg::Close) | None => return,
            Some(_) => (),
        }
    }
}

/// The only user name.
pub(super) const USER: &str = "demo";
/// The most concurrent channels of a session.
const MAX_CHANNELS: usize = 256;
/// The time limit for connecting to a target.
const CONNECT: Duration = Duration::from_secs(10);
/// The size of a read from a target, in bytes.
const READ: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_be_a_target() {
        let texts = |host, port| -> Vec<String> {
            targets(host, port).iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts("127.0.0.1", 80), ["127.0.0.1:80"]);
        assert_eq!(texts("127.9.9.9", 80), ["127.9.9.9:80"]);
        assert_eq!(texts("::1", 80), ["[::1]:80"]);
        assert_eq!(texts("LocalHost", 80), ["127.0.0.1:80", "[::1]:80"]);
        for host in
            ["", "10.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "example.com", "localhost."]
        {
            assert_eq!(targets(host, 80), [], "{host}");
        }
        for port in [0, 65_536] {
            assert_eq!(targets("127.0.0.1", port), [], "{port}");
        }
    }

    #[test]
    fn a_refusal_has_the_text_of_sshd() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let ChannelOpenFailure::Other { code, reason } = connect_failed(&error) else {
            panic!("a failure without a text");
        };
        assert_eq!((code, reason.as_str()), (2, "Connection refused"));
    }
}
