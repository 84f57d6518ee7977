//! The target servers: a single listener, where the first bytes of a connection choose the role.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// The length of a request, in bytes.
pub(crate) const REQUEST: usize = 16;
/// The length of an answer, in bytes.
pub(crate) const RESPONSE: usize = 64;
/// The length of a file of a page, in bytes.
pub(crate) const FILE: usize = 30_000;
/// The length of a ping, in bytes.
pub(crate) const PING: usize = 64;

/// The role that a client requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// [`RESPONSE`] bytes and EOF, like a web server with `Connection: close`.
    AnswerAndClose,
    /// [`FILE`] bytes and EOF, like an image of a page.
    File,
    /// [`RESPONSE`] bytes, and EOF when the client is done, like a web server with keep-alive.
    AnswerAndWait,
    /// Bytes without end.
    Download,
    /// Incoming bytes are counted and dropped.
    Upload,
    /// [`PING`] bytes are sent back, repeatedly.
    Echo,
}

impl Role {
    /// The request for this role.
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

/// The target, which runs until dropped.
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
    /// Listens on a loopback port of its own. Its tasks belong to the current runtime.
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

    /// The number of bytes received from uploads so far.
    pub(crate) fn uploaded(&self) -> u64 {
        self.counters.uploaded.load(Ordering::Relaxed)
    }

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.counters.open.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, counters: Arc<Counters>) {
    loop {
        // A failed accept concerns a connection that its client has given up.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let counters = Arc::clone(&counters);
        counters.open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // The client knows what it waited for, so errors are ignored here.
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

/// Writes without end, 1 MiB per system call from a static block.
pub(crate) async fn pour(stream: &mut TcpStream) -> io::Result<()> {
    let slices = [IoSlice::new(&BLOCK); 16];
    loop {
        if stream.write_vectored(&slices).await? == 0 {
            return Ok(());
        }
    }
}

/// Reads until EOF, and counts.
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
