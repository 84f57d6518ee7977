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

/// A pair of TUN devices and the line between them, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Wire {
    far_end: Ipv4Addr,
    up: Arc<Traffic>,
    down: Arc<Traffic>,
    /// The threads end when it is closed.
    end: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

/// What a direction has carried.
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
    /// Leads from here to `far`, `up` there and `down` back. `number` tells its addresses from those of
    /// others.
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

    /// Where it leads to.
    pub(crate) fn far_end(&self) -> Ipv4Addr {
        self.far_end
    }

    /// Whether nothing waits to pass, or is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.up, &self.down].iter().all(|traffic| traffic.on_the_way.load(Relaxed) == 0)
    }

    /// Upwards and downwards.
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
    /// How many packets came to its entrance.
    pub(crate) fn packets(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// How many of them its queue had no room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Lane {
    fn run(mut self, ended: &PipeReader) {
        // The load does not stretch the delay.
        let _ = setpriority_process(None, -20);
        loop {
            self.deliver();
            let timeout = self.on_the_way.front().map(|(due, _)| {
                let left = due.saturating_duration_since(Instant::now());
                Timespec::try_from(left).expect("a short time")
            });
            let mut events = [
                PollFd::new(&*self.from, PollFlags::IN),
                // Its other end is written to by nobody, but closed.
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

    /// Takes in what the kernel has sent, some at a time, since others are due.
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
            // The device takes each at once, or never.
            let _ = self.to.send(packet);
            self.on_the_way.pop_front();
        }
        self.traffic.on_the_way.store(self.on_the_way.len(), Relaxed);
    }
}

/// A TUN device of the namespace that this thread is in, whose network has two ends.
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

/// How many packets the kernel keeps for a thread that is late.
const RING: u32 = 2000;
