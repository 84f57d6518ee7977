//! The self-check of the demo, which fetches through the proxy.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use fast_socks5::client::{Config, Socks5Stream};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{Socks5Command, client};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::destination::Destination;
use crate::forward::ListenAddress;
use crate::listen::stream::ClientStream;
use crate::task;

/// The address of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Tcp(Destination),
    Unix(PathBuf),
}

/// The protocol that is spoken to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
pub(super) enum Way {
    /// SOCKS5, with a name that the server resolves.
    Socks5,
    Connect,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched {
    /// The length of the body, in bytes.
    pub(super) size: usize,
    /// The time from before the connection to the proxy until after the last byte.
    pub(super) took: Duration,
}

impl Front {
    /// The address at which this machine can reach a listener.
    pub(super) fn of(listener: &ListenAddress) -> Self {
        match listener {
            ListenAddress::Tcp { bind, port } => {
                let reached = Destination::new(bind.reached_at(), *port);
                Self::Tcp(reached.expect("its port is chosen"))
            }
            ListenAddress::Unix(path) => Self::Unix(path.clone()),
        }
    }

    async fn connect(&self) -> std::io::Result<ClientStream> {
        match self {
            Self::Tcp(address) => {
                let socket = TcpStream::connect(address.to_string()).await?;
                socket.set_nodelay(true)?;
                Ok(socket.into())
            }
            Self::Unix(path) => UnixStream::connect(path).await.map(ClientStream::from),
        }
    }

    /// Fetches `path` from `localhost:port` and compares it with the expected content.
    pub(super) async fn fetch(
        &self,
        way: Way,
        port: u16,
        path: &str,
        expected: &[u8],
    ) -> anyhow::Result<Fetched> {
        let start = Instant::now();
        let fetch = async {
            let stream = self.connect().await.context("the proxy does not listen")?;
            let stream = way.open(stream, port).await?;
            get(stream, port, path, expected.len()).await
        };
        let body = tokio::time::timeout(DEADLINE, fetch)
            .await
            .with_context(|| format!("no answer within {} s", DEADLINE.as_secs()))??;
        let took = start.elapsed();
        ensure!(body == expected, "{} bytes came, and not those of the page", body.len());
        Ok(Fetched { size: body.len(), took })
    }
}

impl Way {
    /// Connects to the page's server through the proxy.
    async fn open(self, mut stream: ClientStream, port: u16) -> anyhow::Result<ClientStream> {
        match self {
            Self::Socks5 => {
                let socks = client::Socks5Stream::use_stream(stream, None, Config::default());
                let mut socks: Socks5Stream<_> = socks.await?;
                let target = TargetAddr::Domain("localhost".into(), port);
                socks.request(Socks5Command::TCPConnect, target).await?;
                Ok(socks.get_socket())
            }
            Self::Connect => {
                let authority = format!("127.0.0.1:{port}");
                let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let answer = read_head(&mut stream).await?;
                let status = answer.lines().next().unwrap_or_default();
                ensure!(
                    status.split(' ').nth(1) == Some("200"),
                    "the proxy answered {status:?} to CONNECT"
                );
                Ok(stream)
            }
        }
    }
}

/// Reads an HTTP head byte by byte, because what follows belongs to the tunnel.
async fn read_head(stream: &mut ClientStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MAX_HEAD, "the proxy's answer has no end");
        head.push(stream.read_u8().await.context("the proxy hung up")?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Fetches `path`, of at most `most` bytes, from the server at the far end of the stream.
async fn get(stream: ClientStream, port: u16, path: &str, most: usize) -> anyhow::Result<Bytes> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let _connection = task::spawn(connection);
    let request =
        Request::get(path).header(HOST, format!("localhost:{port}")).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        bail!("the page's server answered {}", response.status());
    }
    let body = Limited::new(response.into_body(), most).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| anyhow::anyhow!(error))
}

/// The time limit of a fetch.
const DEADLINE: Duration = Duration::from_secs(15);
/// The longest response head, in bytes.
const MAX_HEAD: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::copy_bidirectional;
    use tokio::net::TcpListener;

    use super::*;
    use crate::cli::demo::page::{self, Page};

    /// A proxy for one client that implements only what is tested, and answers CONNECT with
    /// `status`.
    async fn proxy(status: &'static str) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client");
            let port = if client.read_u8().await.expect("a byte") == 5 {
                socks5(&mut client).await
            } else {
                connect(&mut client, status).await
            };
            let mut target = TcpStream::connect(("127.0.0.1", port)).await.expect("the page");
            let _ = copy_bidirectional(&mut client, &mut target).await;
        });
        Front::Tcp(address.try_into().expect("not port 0"))
    }

    async fn socks5(client: &mut TcpStream) -> u16 {
        let mut methods = [0; 2];
        client.read_exact(&mut methods).await.expect("methods");
        client.write_all(&[5, 0]).await.expect("sent");
        let mut request = [0; 5 + 9];
        client.read_exact(&mut request).await.expect("a request");
        assert_eq!(&request, b"\x05\x01\x00\x03\x09localhost");
        let port = client.read_u16().await.expect("a port");
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("sent");
        port
    }

    async fn connect(client: &mut TcpStream, status: &str) -> u16 {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a head"));
        }
        client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.expect("sent");
        let head = String::from_utf8(head).expect("text");
        let authority = head.split(' ').nth(1).expect("a target");
        authority.parse::<SocketAddr>().expect("an address").port()
    }

    #[tokio::test]
    async fn the_page_arrives_over_both_protocols() {
        let page = Page::start().await.expect("a page");
        let port = page.address().port();
        let html = page::HTML.as_bytes();
        let data = page::data();
        for way in [Way::Socks5, Way::Connect] {
            let fetched = proxy("200 OK").await.fetch(way, port, "/", html).await.expect("/");
            assert_eq!(fetched.size, html.len());
            let fetched = proxy("200 OK").await.fetch(way, port, "/data", &data).await;
            assert_eq!(fetched.expect("/data").size, page::DATA);
        }
    }

    #[tokio::test]
    async fn other_content_than_the_page_fails_the_check() {
        let page = Page::start().await.expect("a page");
        let port = page.address().port();
        let html = page::HTML.as_bytes();
        let mut other = html.to_vec();
        other[7] ^= 1;
        for (status, path, expected) in [
            ("200 OK", "/", &other[..]),
            ("200 OK", "/", &html[1..]),
            ("200 OK", "/other", html),
            ("403 Forbidden", "/", html),
        ] {
            let result = proxy(status).await.fetch(Way::Connect, port, path, expected).await;
            assert!(result.is_err(), "{status} {path} {result:?}");
        }
    }
}
