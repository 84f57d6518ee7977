//! A line of IP packets between this network namespace and another.

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, pipe};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::setpriority_process;
use tokio::time::Instant;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::line::Quality;
use crate::namespace::Namespace;
use crate::queue::DropTail;

/// A pair of TUN devices and the line between them, which exist until dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    far_end: Ipv4Addr,
    up: Arc<Traffic>,
    down: Arc<Traffic>,
    /// Closing it ends the threads.
    end: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

/// The packet counts of a direction.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    on_the_way: AtomicUsize,
    packets: AtomicU64,
    dropped: AtomicU64,
}

/// One direction, on a thread of its own.
struct Lane {
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    queue: DropTail,
    on_the_way: VecDeque<(Instant, Vec<u8>)>,
    traffic: Arc<Traffic>,
}

impl Wire {
    /// Connects this namespace to `far`, with the qualities `up` to there and `down` back. `number`
    /// distinguishes its addresses from those of other lines.
    pub(crate) fn start(number: u8, far: &Namespace, up: Quality, down: Quality) -> Result<Self> {
        let [near_end, far_end] = [1, 2].map(|end| Ipv4Addr::new(198, 18, number, end));
        let near = Arc::new(device(near_end)?);
        let far = Arc::new(far.inside(|| device(far_end))?);
        let (ended, end) = pipe()?;
        let (mut threads, mut traffics) = (Vec::new(), Vec::new());
        for (quality, from, to) in [(up, &near, &far), (down, &far, &near)] {
            let traffic = Arc::<Traffic>::default();
            let lane = Lane {
                from: Arc::clone(from),
                to: Arc::clone(to),
                queue: DropTail::new(quality, Instant::now()),
                on_the_way: VecDeque::new(),
                traffic: Arc::clone(&traffic),
            };
            let ended = ended.try_clone()?;
            let thread = thread::Builder::new().name("wire".into());
            threads.push(thread.spawn(move || lane.run(&ended))?);
            traffics.push(traffic);
        }
        let [up, down] = traffics.try_into().expect("two directions");
        Ok(Self { far_end, up, down, end: Some(end), threads })
    }

    /// The address of the far end.
    pub(crate) fn far_end(&self) -> Ipv4Addr {
        self.far_end
    }

    /// Whether no packet is queued or in flight.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.up, &self.down].iter().all(|traffic| traffic.on_the_way.load(Relaxed) == 0)
    }

    /// The packet counts upwards and downwards.
    pub(crate) fn traffic(&self) -> [&Traffic; 2] {
        [&self.up, &self.down]
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.end.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Traffic {
    /// The number of packets that arrived at the entrance.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// The number of them that the queue dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Lane {
    fn run(mut self, ended: &PipeReader) {
        // A high priority keeps the load from adding to the delay.
        let _ = setpriority_process(None, -20);
        loop {
            self.deliver();
            let timeout = self.on_the_way.front().map(|(due, _)| {
                let left = due.saturating_duration_since(Instant::now());
                Timespec::try_from(left).expect("a short time")
            });
            let mut events = [
                PollFd::new(&*self.from, PollFlags::IN),
                // Nothing is ever written to the other end; it is only closed.
                PollFd::new(ended, PollFlags::IN),
            ];
            let _ = poll(&mut events, timeout.as_ref());
            let [arrived, end] = events.map(|event| !event.revents().is_empty());
            if end {
                return;
            }
            if arrived {
                self.take();
            }
        }
    }

    /// Reads some packets from the kernel, but not all, since others are due for delivery.
    fn take(&mut self) {
        let mut packet = [0; 2048];
        for _ in 0..64 {
            let Ok(bytes) = self.from.recv(&mut packet) else { return };
            self.traffic.packets.fetch_add(1, Relaxed);
            match self.queue.enter(Instant::now(), bytes) {
                Some(due) => self.on_the_way.push_back((due, packet[..bytes].to_vec())),
                None => _ = self.traffic.dropped.fetch_add(1, Relaxed),
            }
        }
        self.traffic.on_the_way.store(self.on_the_way.len(), Relaxed);
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some((due, packet)) = self.on_the_way.front()
            && *due <= now
        {
            // The device takes each packet at once, or never.
            let _ = self.to.send(packet);
            self.on_the_way.pop_front();
        }
        self.traffic.on_the_way.store(self.on_the_way.len(), Relaxed);
    }
}

/// A TUN device in this thread's namespace, on a network of two addresses.
fn device(address: Ipv4Addr) -> Result<SyncDevice> {
    let [.., number, _] = address.octets();
    let builder = DeviceBuilder::new()
        .name(format!("versus{number}"))
        .ipv4(address, 30, None)
        .with(|builder| _ = builder.tx_queue_len(RING));
    let device = builder.build_sync().context("make a TUN device")?;
    device.set_nonblocking(true)?;
    Ok(device)
}

/// The number of packets that the kernel queues for a thread that is late.
const RING: u32 = 2000;
