//! A TCP link in user space, between the program and its SSH server, that can be bad.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Forwards connections to a loopback port.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    road: Arc<Connect>,
    runtime: Option<Runtime>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the program to the server.
    Up,
    /// From the server to the program.
    Down,
}

/// What can happen to a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// One bit of it is turned.
    Flip,
    /// Every connection is reset instead of carrying it.
    Cut,
}

/// How long bytes are under way, and how many pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// The time each byte takes, one way. It does not lower the throughput.
    pub(crate) delay: Duration,
    /// Bytes a second, each way; 0 for as many as there are.
    pub(crate) rate: u32,
}

#[derive(Debug)]
struct Connect {
    to: AtomicU16,
    connections: AtomicUsize,
    quality: Mutex<Quality>,
    held: watch::Sender<Holding>,
    cuts: watch::Sender<u64>,
    plan: Mutex<Option<Plan>>,
}

/// Whether bytes are held back (the black hole) or pass.
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

    /// A link of some quality.
    pub(crate) fn with(port: u16, quality: Quality) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a loopback port");
        let own_port = listener.local_addr().expect("an address").port();
        let road = Arc::new(Connect {
            to: AtomicU16::new(port),
            connections: AtomicUsize::new(0),
            quality: Mutex::new(quality),
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

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.road.connections.load(Ordering::SeqCst)
    }

    /// Takes the connections that follow to another port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.road.to.store(port, Ordering::SeqCst);
    }

    /// Changes how long the bytes that follow are under way.
    pub(crate) fn delay(&self, delay: Duration) {
        let mut quality = self.road.quality.lock().unwrap_or_else(PoisonError::into_inner);
        quality.delay = delay;
    }

    /// Resets every connection at both ends.
    pub(crate) fn cut(&self) {
        self.road.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops carrying bytes, and keeps every socket open: a black hole.
    pub(crate) fn hold(&self) {
        self.road.held.send_replace(Holding::Held);
    }

    /// Carries bytes again, those held back first.
    pub(crate) fn release(&self) {
        self.road.held.send_replace(Holding::Passing);
    }

    /// Plans one fault for the byte that follows `after` more bytes in a direction.
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

impl Connect {
    fn quality(&self) -> Quality {
        *self.quality.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Option<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the planned fault happen to `bytes`. What is to be carried is left in it; an error is a cut.
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
        // The sender lives as long as `self`.
        let _ = held.wait_for(|holding| *holding == Holding::Passing).await;
    }
}

async fn connection(mut client: TcpStream, road: Arc<Connect>) {
    let mut cuts = road.cuts.subscribe();
    let to = road.to.load(Ordering::SeqCst);
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else {
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

/// Carries bytes one way: one half stamps what it reads, the other writes it when its time has come.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    road: &Connect,
) -> io::Result<()> {
    let (stamped, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let reader = async move {
        let mut buffer = vec![0; PACKET];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return io::Result::Ok(());
            }
            // The black hole takes nothing in: whoever writes into it comes to a stop.
            road.passable().await;
            let bytes = &mut buffer[..count];
            road.harm(direction, bytes)?;
            let at = Instant::now() + road.quality().delay;
            if stamped.send((at, bytes.to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let writer = async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            road.passable().await;
            to.write_all(&bytes).await?;
            let rate = road.quality().rate;
            if rate > 0 {
                let bytes = u32::try_from(bytes.len()).expect("a packet");
                sleep(Duration::from_secs(1) * bytes / rate).await;
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(reader, writer).map(drop)
}

/// Makes the close that follows a RST.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

const PACKET: usize = 32 * 1024;
/// How many packets may be under way in one direction: 64 MiB, beyond any window.
const IN_FLIGHT: usize = 2048;
