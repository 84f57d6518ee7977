//! A web server for targets.
//!
//! | path | what it does |
//! |---|---|
//! | `/bytes/N` | `N` bytes of [`Content`], with a length |
//! | `/chunked/N` | the same in chunks |
//! | `/closed/N` | the same, ended by the end of the connection |
//! | `/drip/N` | `N` single bytes, 50 ms apart |
//! | `/sink` | answers the length and the SHA-256 of the body, after `100 Continue` if asked |
//! | `/fields` | answers the fields of the request as they arrived |
//! | `/never` | never answers |
//! | `/upgrade` | switches protocols, then echoes |
//! | `/repo/…` | files below the directory given to [`Web::with_files`]; of a directory, its page |

use std::fs;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::content::{Content, Sum};
use super::http::{Head, request_body};
use super::target::Target;

/// The running server.
#[derive(Debug)]
pub(crate) struct Web {
    target: Target,
    requests: Arc<AtomicUsize>,
}

/// Whether a connection may carry another request.
enum After {
    KeepAlive,
    Close,
}

impl Web {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self::with_files(Path::new("/nonexistent"))
    }

    /// Starts it with the files of a directory below `/repo`.
    pub(crate) fn with_files(directory: &Path) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let directory = directory.to_owned();
        let target = Target::start(move |stream| serve(&stream, &directory, &count));
        Self { target, requests }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.target.address()
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.target.port()
    }

    /// The URL of a path, with a numeric host.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The URL of a path, with a host name.
    pub(crate) fn named_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port())
    }

    /// The number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.target.connections()
    }

    /// The number of requests read.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, files: &Path, requests: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(head) = Head::read(&mut reader)? {
        requests.fetch_add(1, Ordering::SeqCst);
        match answer(&head, &mut reader, stream, files)? {
            After::KeepAlive => {}
            After::Close => break,
        }
    }
    stream.shutdown(Shutdown::Write)
}

fn answer(
    head: &Head,
    reader: &mut BufReader<&TcpStream>,
    mut stream: &TcpStream,
    files: &Path,
) -> io::Result<After> {
    let path = head.first.split(' ').nth(1).unwrap_or_default();
    let (name, rest) = path[path.len().min(1)..].split_once('/').unwrap_or((&path[1..], ""));
    let length = rest.parse().unwrap_or(0);
    match name {
        "bytes" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
            io::copy(&mut Content::of(length), &mut stream)?;
        }
        "chunked" => chunked(stream, length)?,
        "closed" => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            io::copy(&mut Content::of(length), &mut stream)?;
            return Ok(After::Close);
        }
        "drip" => drip(stream, length)?,
        "sink" => {
            if head.field("expect").is_some() {
                write!(stream, "HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let sum = Sum::of(request_body(head, reader))?;
            whole(stream, format!("{} {}", sum.length, sum.sha256).as_bytes())?;
        }
        "fields" => {
            let fields = head.fields().iter().map(|(name, value)| format!("{name}: {value}"));
            let fields = fields.collect::<Vec<_>>().join("\n");
            whole(stream, format!("{}\n{fields}", head.first).as_bytes())?;
        }
        "never" => {
            io::copy(reader, &mut io::sink())?;
            return Ok(After::Close);
        }
        "upgrade" => {
            let protocol = head.field("upgrade").unwrap_or_default();
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            )?;
            io::copy(reader, &mut stream)?;
            return Ok(After::Close);
        }
        "repo" => match file(files, rest) {
            Some(bytes) if rest.ends_with('/') => page(stream, &bytes)?,
            Some(bytes) => whole(stream, &bytes)?,
            None => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        },
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
    }
    Ok(After::KeepAlive)
}

fn whole(mut stream: &TcpStream, body: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn page(mut stream: &TcpStream, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn chunked(mut stream: &TcpStream, length: u64) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let mut content = Content::of(length);
    let mut chunk = vec![0; 10_000];
    loop {
        let count = content.read(&mut chunk)?;
        write!(stream, "{count:x}\r\n")?;
        stream.write_all(&chunk[..count])?;
        write!(stream, "\r\n")?;
        if count == 0 {
            return Ok(());
        }
    }
}

fn drip(mut stream: &TcpStream, length: u64) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
    for byte in Content::of(length).bytes() {
        stream.write_all(&[byte])?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A file below the directory, and nothing outside it.
fn file(directory: &Path, name: &str) -> Option<Vec<u8>> {
    let name = name.split('?').next().unwrap_or_default();
    let inside = !name.split('/').any(|part| part == "..");
    let index = if name.ends_with('/') { "index.html" } else { "" };
    let path: PathBuf = directory.join(format!("{name}{index}"));
    if inside { fs::read(path).ok() } else { None }
}
