//! A port that forwards to another over a line.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::line::{Lane, Quality};

/// A port that forwards to another over a line until dropped. It runs on a thread of its own, so that
/// the load does not add to the delay.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    line: Arc<Line>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Both directions, which all connections share.
#[derive(Debug)]
struct Line {
    up: Arc<Lane>,
    down: Arc<Lane>,
}

impl Link {
    /// Forwards to `upstream`, with the qualities `up` to there and `down` back.
    pub(crate) fn start(upstream: SocketAddr, up: Quality, down: Quality) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (line, listener) = {
            let _inside = runtime.enter();
            let line = Arc::new(Line { up: Lane::open(up), down: Lane::open(down) });
            let socket = TcpSocket::new_v4()?;
            // Accepted sockets inherit the settings of the listener.
            line.up.tune(&socket)?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            (line, socket.listen(1024)?)
        };
        let carried = Arc::clone(&line);
        let address = listener.local_addr()?;
        let end = CancellationToken::new();
        let ended = end.clone();
        let thread = thread::Builder::new().name("link".into()).spawn(move || {
            // Dropping the runtime ends the tasks of the connections.
            let accepting = accept(listener, upstream, carried);
            runtime.block_on(ended.run_until_cancelled(accepting));
        })?;
        Ok(Self { address, line, end, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether both queues are empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.line.up.is_empty() && self.line.down.is_empty()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, line: Arc<Line>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let line = Arc::clone(&line);
        tokio::spawn(async move {
            let Ok(server) = connect(upstream, &line).await else { return };
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                carry(from_client, to_server, &line.up),
                carry(from_server, to_client, &line.down)
            );
        });
    }
}

async fn connect(upstream: SocketAddr, line: &Line) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    line.down.tune(&socket)?;
    socket.connect(upstream).await
}

/// Carries one direction of a connection, until either end is gone.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, lane: &Lane) {
    let (exit, due) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(lane.in_flight()));
    // The first to end stops the other: with the receiver gone, there is no use for the sender.
    tokio::select! {
        () = async {
            take(from, exit, &room, lane).await;
            pending::<()>().await;
        } => {}
        () = release(due, to, &room) => {}
    }
}

async fn take(
    mut from: OwnedReadHalf,
    exit: mpsc::UnboundedSender<(Instant, Bytes)>,
    room: &Semaphore,
    lane: &Lane,
) {
    let packet = lane.packet();
    loop {
        let mut buffer = BytesMut::with_capacity(packet);
        let read = match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => u32::try_from(read).expect("a read is no larger than the buffer"),
        };
        // The timing of ACKs is to be the line's, not that of this kernel, which may delay them by 40 ms.
        let _ = SockRef::from(from.as_ref()).set_tcp_quickack(true);
        let Ok(permit) = room.acquire_many(read).await else { return };
        permit.forget();
        lane.send(buffer.freeze(), &exit).await;
    }
}

async fn release(
    mut due: mpsc::UnboundedReceiver<(Instant, Bytes)>,
    mut to: OwnedWriteHalf,
    room: &Semaphore,
) {
    while let Some((at, chunk)) = due.recv().await {
        if at > Instant::now() {
            sleep_until(at).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
        room.add_permits(chunk.len());
    }
    let _ = to.shutdown().await;
}
