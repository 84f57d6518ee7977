//! Network namespaces: what is made in one is seen in it alone, and goes with it.

use std::fs::{self, File};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace, which is there as long as this, or a process in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// Makes one, with loopback.
    pub(crate) fn new() -> Result<Self> {
        let open = || {
            enter_new()?;
            File::open("/proc/thread-self/ns/net").context("open /proc/thread-self/ns/net")
        };
        Ok(Self { file: on_a_thread(open)? })
    }

    /// Does something on a thread in it. Sockets, devices and processes stay where they were made.
    pub(crate) fn inside<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).context("enter a network namespace")?;
            job()
        })
    }
}

/// Moves this thread, and those and the processes that it starts from now on, into a new one with loopback.
pub(crate) fn enter_new() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
    let output = Command::new("ip").args(["link", "set", "lo", "up"]).output();
    let output = output.context("start ip (Debian: iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "start loopback: {}", said.trim().escape_debug());
    // What most machines have. Where it is not allowed, it stays as it is, and the results say so.
    let _ = fs::write(CONGESTION_CONTROL, "cubic");
    Ok(())
}

/// The congestion control of the namespace that this thread is in.
pub(crate) fn congestion_control() -> Result<String> {
    let name = fs::read_to_string(CONGESTION_CONTROL).context("read the congestion control")?;
    Ok(name.trim().to_owned())
}

/// A thread's namespace is its own, so that a short one changes nobody else's.
fn on_a_thread<T: Send>(job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(job).join().expect("the job does not panic"))
}

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
