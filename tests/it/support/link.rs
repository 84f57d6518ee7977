//! A user-space TCP link between the program and its SSH server, with injectable faults.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::sleep_until;

use line::{Lane, Stalls};

#[path = "../../../benches/versus/line.rs"]
#[expect(dead_code, reason = "the benchmark uses more of it")]
mod line;

/// Forwards connections to a loopback port.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    road: Arc<Road>,
    runtime: Option<Runtime>,
}

/// The direction of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the program to the server.
    Up,
    /// From the server to the program.
    Down,
}

/// A fault that hits a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// One bit of it is flipped.
    Flip,
    /// All connections are reset instead of carrying it.
    Cut,
}

/// The delay and the throughput of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// The one-way delay. It does not reduce the throughput.
    pub(crate) delay: Duration,
    /// Bytes per second in each direction, shared by all connections; 0 for unlimited.
    pub(crate) rate: u32,
}

impl From<Quality> for line::Quality {
    fn from(Quality { delay, rate }: Quality) -> Self {
        Self { delay, rate, stalls: Stalls::Never }
    }
}

#[derive(Debug)]
struct Road {
    to: AtomicU16,
    connections: AtomicUsize,
    up: Arc<Lane>,
    down: Arc<Lane>,
    held: watch::Sender<Holding>,
    cuts: watch::Sender<u64>,
    plan: Mutex<Option<Plan>>,
}

/// Whether bytes are held back (a black hole) or pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Held,
    Passing,
}

#[derive(Debug)]
struct Plan {
    direction: Direction,
    left: usize,
    fault: Fault,
}

impl Link {
    /// A perfect link to a loopback port.
    pub(crate) fn to(port: u16) -> Self {
        Self::with(port, Quality { delay: Duration::ZERO, rate: 0 })
    }

    /// A link of this quality in both directions.
    pub(crate) fn with(port: u16, quality: Quality) -> Self {
        Self::over(port, quality, quality)
    }

    /// A link with a different quality in each direction.
    pub(crate) fn over(port: u16, up: Quality, down: Quality) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (up, down, listener) = runtime.block_on(async {
            let (up, down) = (Lane::open(up.into()), Lane::open(down.into()));
            let listener = listen(&up).expect("a loopback port");
            (up, down, listener)
        });
        let own_port = listener.local_addr().expect("an address").port();
        let road = Arc::new(Road {
            to: AtomicU16::new(port),
            connections: AtomicUsize::new(0),
            up,
            down,
            held: watch::Sender::new(Holding::Passing),
            cuts: watch::Sender::new(0),
            plan: Mutex::new(None),
        });
        let accepting = Arc::clone(&road);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(connection(client, Arc::clone(&accepting)));
            }
        });
        Self { port: own_port, road, runtime: Some(runtime) }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.road.connections.load(Ordering::SeqCst)
    }

    /// Directs new connections to another port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.road.to.store(port, Ordering::SeqCst);
    }

    /// Changes the delay of subsequent bytes.
    pub(crate) fn delay(&self, delay: Duration) {
        self.road.up.set_delay(delay);
        self.road.down.set_delay(delay);
    }

    /// Resets every connection at both ends.
    pub(crate) fn cut(&self) {
        self.road.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops carrying bytes, and keeps every socket open: a black hole.
    pub(crate) fn hold(&self) {
        self.road.held.send_replace(Holding::Held);
    }

    /// Carries bytes again, starting with those held back.
    pub(crate) fn release(&self) {
        self.road.held.send_replace(Holding::Passing);
    }

    /// Plans one fault for the byte that follows `after` more bytes in this direction.
    pub(crate) fn plan(&self, direction: Direction, after: usize, fault: Fault) {
        *self.road.plan() = Some(Plan { direction, left: after, fault });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Road {
    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Option<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the planned fault to `bytes`, which then contain what is to be carried; an error is a cut.
    fn harm(&self, direction: Direction, bytes: &mut [u8]) -> io::Result<()> {
        let mut slot = self.plan();
        let Some(plan) = slot.as_mut().filter(|plan| plan.direction == direction) else {
            return Ok(());
        };
        let Some(byte) = bytes.get_mut(plan.left) else {
            plan.left -= bytes.len();
            return Ok(());
        };
        let fault = plan.fault;
        *slot = None;
        match fault {
            Fault::Flip => {
                *byte ^= 0x10;
                Ok(())
            }
            Fault::Cut => {
                self.cuts.send_modify(|cuts| *cuts += 1);
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    /// Waits while bytes are held back.
    async fn passable(&self) {
        let mut held = self.held.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = held.wait_for(|holding| *holding == Holding::Passing).await;
    }
}

fn listen(up: &Lane) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    up.tune(&socket)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1024)
}

async fn connect(port: u16, down: &Lane) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    down.tune(&socket)?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}

async fn connection(mut client: TcpStream, road: Arc<Road>) {
    let mut cuts = road.cuts.subscribe();
    let to = road.to.load(Ordering::SeqCst);
    let Ok(mut server) = connect(to, &road.down).await else {
        return reset(&client);
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let cut = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = async {
            tokio::try_join!(
                carry(client_read, server_write, Direction::Up, &road),
                carry(server_read, client_write, Direction::Down, &road),
            )
        };
        tokio::select! {
            ended = both => ended.is_err(),
            _ = cuts.changed() => true,
        }
    };
    if cut {
        reset(&client);
        reset(&server);
    }
}

/// Carries bytes in one direction: one half passes what it reads to the lane, the other writes what comes out of it.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    road: &Road,
) -> io::Result<()> {
    let lane = road.lane(direction);
    let (exit, mut due) = mpsc::unbounded_channel::<(_, Bytes)>();
    let room = Semaphore::new(lane.in_flight());
    let reader = async {
        let exit = exit;
        let mut buffer = vec![0; lane.packet()];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return io::Result::Ok(());
            }
            // The black hole accepts nothing, so writers block.
            road.passable().await;
            let bytes = &mut buffer[..count];
            road.harm(direction, bytes)?;
            let count = u32::try_from(count).expect("a packet");
            room.acquire_many(count).await.expect("it is never closed").forget();
            lane.send(Bytes::copy_from_slice(bytes), &exit).await;
        }
    };
    let writer = async {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            road.passable().await;
            to.write_all(&bytes).await?;
            room.add_permits(bytes.len());
        }
        to.shutdown().await
    };
    tokio::try_join!(reader, writer).map(drop)
}

/// Makes the close that follows send a RST.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
