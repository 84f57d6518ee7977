//! The servers that everything is fetched from: one listener, and the first bytes say which.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// How long a request is, and the size of one ping.
pub(crate) const REQUEST: usize = 16;
/// How long an answer is, in bytes.
pub(crate) const RESPONSE: usize = 64;
/// How long a file of a page is, in bytes.
pub(crate) const FILE: usize = 30_000;
/// How long a ping is, in bytes.
pub(crate) const PING: usize = 64;

/// What a client asks of the target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// [`RESPONSE`] bytes and the end, as a web server with `Connection: close`.
    AnswerAndClose,
    /// [`FILE`] bytes and the end: a picture of a page.
    File,
    /// [`RESPONSE`] bytes, and the end when the client is done, as a web server with keep-alive.
    AnswerAndWait,
    /// Bytes without end.
    Download,
    /// Whatever comes is counted and dropped.
    Upload,
    /// [`PING`] bytes come back as they are, as often as they are sent.
    Echo,
}

impl Role {
    /// The request that asks for it.
    pub(crate) fn request(self) -> [u8; REQUEST] {
        let letter = match self {
            Self::AnswerAndClose => b'c',
            Self::File => b'f',
            Self::AnswerAndWait => b'w',
            Self::Download => b'd',
            Self::Upload => b'u',
            Self::Echo => b'e',
        };
        [letter; REQUEST]
    }

    fn from_request(request: [u8; REQUEST]) -> Option<Self> {
        use Role::{AnswerAndClose, AnswerAndWait, Download, Echo, File, Upload};
        [AnswerAndClose, File, AnswerAndWait, Download, Upload, Echo]
            .into_iter()
            .find(|role| role.request() == request)
    }
}

/// The target, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    counters: Arc<Counters>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    uploaded: AtomicU64,
    open: AtomicUsize,
}

impl Target {
    /// Listens on a port of its own on loopback. Its tasks are those of the runtime that this is called in.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&counters)));
        Ok(Self { address, counters, _task: AbortOnDropHandle::new(task) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes arrived from uploads so far.
    pub(crate) fn uploaded(&self) -> u64 {
        self.counters.uploaded.load(Ordering::Relaxed)
    }

    /// How many connections are open now.
    pub(crate) fn open(&self) -> usize {
        self.counters.open.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, counters: Arc<Counters>) {
    loop {
        // An accept that fails is one connection that its client has given up.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let counters = Arc::clone(&counters);
        counters.open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // How a connection ends is the client's affair: it knows what it waited for.
            let _ = serve(stream, &counters).await;
            counters.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn serve(mut stream: TcpStream, counters: &Counters) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; REQUEST];
    stream.read_exact(&mut request).await?;
    match Role::from_request(request) {
        Some(Role::AnswerAndClose) => stream.write_all(&[b'r'; RESPONSE]).await,
        Some(Role::File) => stream.write_all(&BLOCK[..FILE]).await,
        Some(Role::AnswerAndWait) => {
            stream.write_all(&[b'r'; RESPONSE]).await?;
            stream.read(&mut request).await.map(drop)
        }
        Some(Role::Download) => pour(&mut stream).await,
        Some(Role::Upload) => drain(&mut stream, &counters.uploaded).await,
        Some(Role::Echo) => echo(&mut stream).await,
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes without end, 1 MiB a system call from one static block.
pub(crate) async fn pour(stream: &mut TcpStream) -> io::Result<()> {
    let slices = [IoSlice::new(&BLOCK); 16];
    loop {
        if stream.write_vectored(&slices).await? == 0 {
            return Ok(());
        }
    }
}

/// Reads to the end and counts.
pub(crate) async fn drain(stream: &mut TcpStream, count: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}

async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let mut ping = [0; PING];
    loop {
        stream.read_exact(&mut ping).await?;
        stream.write_all(&ping).await?;
    }
}

static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
