//! The clients: SOCKS5 with an IPv4 address, as lightweight as possible, since they share two cores
//! with what they measure.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::target::{PING, RESPONSE, Role};

/// A proxy, and a target behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Road {
    /// The address of the peer's SOCKS5 port.
    pub(crate) proxy: SocketAddr,
    /// The address of the target, as seen from the SSH server.
    pub(crate) target: SocketAddr,
}

impl Road {
    /// Opens a connection through the proxy, and requests a role. Greeting, request and role are
    /// sent one after another, as by an ordinary client.
    pub(crate) async fn open(self, role: Role) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.proxy).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&[5, 1, 0]).await?;
        let mut method = [0; 2];
        stream.read_exact(&mut method).await?;
        expect(method == [5, 0], "the proxy wants a password")?;
        stream.write_all(&connect_request(self.target)?).await?;
        let mut reply = [0; 10];
        stream.read_exact(&mut reply).await?;
        expect(reply[1] == 0, "the proxy refused the request")?;
        expect(reply[3] == 1, "the proxy answered with no IPv4 address")?;
        stream.write_all(&role.request()).await?;
        Ok(stream)
    }

    /// Makes one short connection: open, ask, read the answer, close. Returns its time until the
    /// end of the wait: EOF, or the last byte of the answer.
    async fn short(self, first: ClosesFirst) -> io::Result<Duration> {
        let start = Instant::now();
        let role = match first {
            ClosesFirst::Target => Role::AnswerAndClose,
            ClosesFirst::Client => Role::AnswerAndWait,
        };
        let mut stream = self.open(role).await?;
        let mut response = [0; RESPONSE];
        stream.read_exact(&mut response).await?;
        expect(response == [b'r'; RESPONSE], "the answer is not the target's")?;
        if first == ClosesFirst::Target {
            expect(stream.read(&mut response).await? == 0, "there is more than the answer")?;
        }
        Ok(start.elapsed())
    }

    /// A short connection with a limit on its time.
    pub(crate) async fn short_within(
        self,
        limit: Duration,
        first: ClosesFirst,
    ) -> io::Result<Duration> {
        tokio::time::timeout(limit, self.short(first)).await.map_err(io::Error::from)?
    }
}

/// How a short connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosesFirst {
    /// The client reads until EOF.
    Target,
    /// The client closes after the answer.
    Client,
}

/// Sends one ping on a connection with [`Role::Echo`], and measures it.
pub(crate) async fn ping(stream: &mut TcpStream) -> io::Result<Duration> {
    let start = Instant::now();
    stream.write_all(&[b'p'; PING]).await?;
    let mut pong = [0; PING];
    stream.read_exact(&mut pong).await?;
    Ok(start.elapsed())
}

/// The CONNECT request of RFC 1928, section 4.
fn connect_request(target: SocketAddr) -> io::Result<[u8; 10]> {
    let SocketAddr::V4(target) = target else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut request = [5, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    request[4..8].copy_from_slice(&target.ip().octets());
    request[8..].copy_from_slice(&target.port().to_be_bytes());
    Ok(request)
}

fn expect(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise)) }
}

/// A loopback port on which nothing listens, below the ephemeral range.
pub(crate) fn free_port() -> io::Result<u16> {
    for _ in 0..1000 {
        let port = fastrand::u16(10_000..32_000);
        // Without SO_REUSEADDR, the bind also fails for ports that an earlier run left in TIME_WAIT.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        if socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into()).is_ok() {
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
