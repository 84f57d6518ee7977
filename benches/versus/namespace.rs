//! Network namespaces: what is created in one is visible only there, and disappears with it.

use std::fs::{self, File};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace, which exists as long as this value or a process in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// Creates a namespace with loopback.
    pub(crate) fn new() -> Result<Self> {
        let open = || {
            enter_new()?;
            File::open("/proc/thread-self/ns/net").context("open /proc/thread-self/ns/net")
        };
        Ok(Self { file: on_a_thread(open)? })
    }

    /// Runs a job on a thread in the namespace. Sockets, devices and processes stay where they were created.
    pub(crate) fn inside<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).context("enter a network namespace")?;
            job()
        })
    }
}

/// Moves this thread, and the threads and processes that it starts later, to a new namespace with loopback.
pub(crate) fn enter_new() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
    let output = Command::new("ip").args(["link", "set", "lo", "up"]).output();
    let output = output.context("start ip (Debian: iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "start loopback: {}", said.trim().escape_debug());
    // The default of most machines. Without permission the setting stays as it is, and the results show it.
    let _ = fs::write(CONGESTION_CONTROL, "cubic");
    Ok(())
}

/// The congestion control of this thread's namespace.
pub(crate) fn congestion_control() -> Result<String> {
    let name = fs::read_to_string(CONGESTION_CONTROL).context("read the congestion control")?;
    Ok(name.trim().to_owned())
}

/// The namespace belongs to the thread, so a short-lived thread changes it for nobody else.
fn on_a_thread<T: Send>(job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(job).join().expect("the job does not panic"))
}

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
