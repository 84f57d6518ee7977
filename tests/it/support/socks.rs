//! The client side of the proxy protocols, byte by byte.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};

use super::http::Response;
use super::wait::LONG;

/// A protocol for requesting a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// SOCKS4 if the host is an IPv4 address, SOCKS4a if it is a name.
    Socks4,
    /// SOCKS5 without authentication.
    Socks5,
    /// HTTP CONNECT.
    Connect,
}

/// The answer of the proxy.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The tunnel is established.
    Open(TcpStream),
    /// It is refused. The whole answer until EOF; for an HTTP answer, the body.
    Refused(Vec<u8>),
}

impl Protocol {
    /// All protocols.
    pub(crate) const ALL: [Self; 3] = [Self::Socks4, Self::Socks5, Self::Connect];

    /// Everything that a client sends to connect, greeting and request in one.
    pub(crate) fn request(self, host: &str, port: u16) -> Vec<u8> {
        let ip = host.parse::<IpAddr>();
        let mut bytes = Vec::new();
        match self {
            Self::Socks4 => {
                bytes.extend([4, 1]);
                bytes.extend(port.to_be_bytes());
                let (address, name) = match ip {
                    Ok(IpAddr::V4(ip)) => (ip.octets(), String::new()),
                    _ => ([0, 0, 0, 1], format!("{host}\0")),
                };
                bytes.extend(address);
                bytes.extend(b"me\0");
                bytes.extend(name.bytes());
            }
            Self::Socks5 => {
                bytes.extend(GREETING);
                bytes.extend(socks5_command(1, host, port));
            }
            Self::Connect => {
                let authority = match ip {
                    Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
                    _ => format!("{host}:{port}"),
                };
                bytes.extend(
                    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").bytes(),
                );
            }
        }
        bytes
    }

    /// Reads the answers of the proxy before the tunnel; SOCKS5 has two.
    pub(crate) fn read_answer(self, mut stream: TcpStream) -> io::Result<Answer> {
        if self == Self::Socks5 {
            let mut method = [0; 2];
            stream.read_exact(&mut method)?;
            if method != [5, 0] {
                return rest(method.to_vec(), stream);
            }
        }
        let mut answer = vec![0; if self == Self::Socks4 { 8 } else { 4 }];
        stream.read_exact(&mut answer)?;
        match self {
            Self::Socks4 if answer[..2] == [0, 0x5a] => Ok(Answer::Open(stream)),
            Self::Socks5 if answer[..3] == [5, 0, 0] => {
                let mut address = vec![0; if answer[3] == 4 { 18 } else { 6 }];
                stream.read_exact(&mut address)?;
                Ok(Answer::Open(stream))
            }
            Self::Connect => {
                while !answer.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte)?;
                    answer.extend(byte);
                }
                if answer.starts_with(b"HTTP/1.1 200 ") {
                    return Ok(Answer::Open(stream));
                }
                let response = Response::read(&mut BufReader::new(answer.chain(&stream)))?;
                Ok(Answer::Refused(response.body))
            }
            Self::Socks4 | Self::Socks5 => rest(answer, stream),
        }
    }

    /// Requests a tunnel.
    pub(crate) fn ask(self, proxy: SocketAddr, host: &str, port: u16) -> io::Result<Answer> {
        let mut stream = connect(proxy);
        stream.write_all(&self.request(host, port))?;
        self.read_answer(stream)
    }

    /// Opens a tunnel; a refusal fails the test.
    #[track_caller]
    pub(crate) fn open(self, proxy: SocketAddr, host: &str, port: u16) -> TcpStream {
        match self.ask(proxy, host, port) {
            Ok(Answer::Open(stream)) => stream,
            refused => panic!("{self:?} to {host}:{port}: {refused:?}"),
        }
    }

    /// The whole answer to a request, which must be refused.
    #[track_caller]
    pub(crate) fn refusal(self, proxy: SocketAddr, host: &str, port: u16) -> Vec<u8> {
        match self.ask(proxy, host, port) {
            Ok(Answer::Refused(answer)) => answer,
            other => panic!("{self:?} to {host}:{port} was not refused: {other:?}"),
        }
    }
}

/// A connection to the proxy, with a read timeout.
pub(crate) fn connect(proxy: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(proxy).expect("the proxy accepts");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// A SOCKS5 request (RFC 1928 section 4) without the greeting.
pub(crate) fn socks5_command(command: u8, host: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, command, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            bytes.push(1);
            bytes.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            bytes.push(4);
            bytes.extend(ip.octets());
        }
        Err(_) => {
            bytes.extend([3, u8::try_from(host.len()).expect("at most 255 bytes")]);
            bytes.extend(host.as_bytes());
        }
    }
    bytes.extend(port.to_be_bytes());
    bytes
}

/// Sends `bytes`, and reads until the proxy ends the connection. A reset after the answer counts as
/// an end: the proxy may leave unwanted data unread.
pub(crate) fn exchange(proxy: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(proxy);
    // The proxy may close the connection in the middle of what it refuses.
    let _ = stream.write_all(bytes);
    read_to_any_end(&mut stream).0
}

/// Reads to the end of the connection, and says whether that is a clean end. A timeout is a panic.
pub(crate) fn read_to_any_end(stream: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).map(drop);
    if let Err(error) = &ended {
        let hangs = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        assert!(!hangs, "nothing came for {LONG:?}, after {} bytes", bytes.len());
    }
    (bytes, ended)
}

fn rest(mut answer: Vec<u8>, mut stream: TcpStream) -> io::Result<Answer> {
    let (bytes, ended) = read_to_any_end(&mut stream);
    answer.extend(bytes);
    ended.map(|()| Answer::Refused(answer))
}

/// SOCKS5 with a single method: no authentication.
const GREETING: [u8; 3] = [5, 1, 0];
