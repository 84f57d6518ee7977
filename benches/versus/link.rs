//! A delay line: what goes in at one end comes out at the other a while later, however much it is.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A port that leads to another after a delay, as long as it is kept. It runs on a thread of its
/// own, so that the load does not stretch the delay.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Leads to `upstream`, with `delay` each way and no limit on what is on the way but
    /// [`IN_FLIGHT`].
    pub(crate) fn start(upstream: SocketAddr, delay: Duration) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let end = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = end.clone();
        let thread = thread::Builder::new().name("link".into()).spawn(move || {
            // Dropping the runtime ends the tasks of the connections.
            runtime.block_on(ended.run_until_cancelled(accept(listener, upstream, delay)));
        })?;
        Ok(Self { address, end, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

async fn accept(listener: std::net::TcpListener, upstream: SocketAddr, delay: Duration) {
    let Ok(listener) = TcpListener::from_std(listener) else { return pending().await };
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                carry(from_client, to_server, delay),
                carry(from_server, to_client, delay)
            );
        });
    }
}

/// One direction, until either end is gone.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, delay: Duration) {
    let (entrance, exit) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    tokio::join!(take(from, entrance, &room, delay), release(exit, to, &room));
}

async fn take(
    mut from: OwnedReadHalf,
    entrance: mpsc::UnboundedSender<(Instant, Bytes)>,
    room: &Semaphore,
    delay: Duration,
) {
    // The timer and the wait beneath it both round up to whole milliseconds: one less meets the mean.
    let delay = delay.saturating_sub(Duration::from_millis(1));
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < CHUNK {
            buffer = BytesMut::with_capacity(4 * CHUNK);
        }
        let read = match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => u32::try_from(read).expect("a read is smaller than the buffer"),
        };
        let due = Instant::now() + delay;
        let Ok(permit) = room.acquire_many(read).await else { return };
        permit.forget();
        if entrance.send((due, buffer.split().freeze())).is_err() {
            return;
        }
    }
}

async fn release(
    mut exit: mpsc::UnboundedReceiver<(Instant, Bytes)>,
    mut to: OwnedWriteHalf,
    room: &Semaphore,
) {
    while let Some((due, chunk)) = exit.recv().await {
        if due > Instant::now() {
            sleep_until(due).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
        room.add_permits(chunk.len());
    }
    let _ = to.shutdown().await;
}

/// The most that is on the way in one direction of one connection, in bytes.
const IN_FLIGHT: usize = 256 * 1024 * 1024;
/// The most that one read takes, in bytes.
const CHUNK: usize = 256 * 1024;
