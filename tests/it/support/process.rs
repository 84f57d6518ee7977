//! Facts about processes from `/proc`, and signals to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// All descendants of `parent`.
pub(crate) fn descendants(parent: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> =
        all().filter_map(|pid| Some((pid, stat(pid, STAT_PPID)?.try_into().ok()?))).collect();
    let mut found = vec![parent];
    let mut next = 0;
    while next < found.len() {
        let above = found[next];
        found.extend(all.iter().filter(|(_, ppid)| *ppid == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// The processes with `argument` on their command line.
pub(crate) fn with_argument(argument: &Path) -> Vec<u32> {
    let argument = argument.as_os_str().as_encoded_bytes();
    all()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == argument))
        })
        .collect()
}

/// Whether the process is running, and not a zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

/// The number of descriptors that a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The number of sockets that a process has open.
pub(crate) fn sockets(pid: u32) -> usize {
    socket_names(pid).len()
}

/// The TCP ports that a process listens on.
pub(crate) fn listening(pid: u32) -> BTreeSet<u16> {
    let own = socket_names(pid);
    let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    let tables = ["tcp", "tcp6"].map(|name| table(name).unwrap_or_default()).concat();
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.split_once(':')?;
        let is_own = own.contains(&format!("socket:[{}]", fields.get(9)?));
        let listens = is_own && fields[3] == TCP_LISTEN;
        listens.then(|| u16::from_str_radix(port, 16).expect("a port"))
    };
    tables.lines().filter_map(port).collect()
}

/// The open files of a process: paths, `socket:[INODE]`, `anon_inode:KIND`.
pub(crate) fn open_files(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

/// The sockets among them.
fn socket_names(pid: u32) -> Vec<String> {
    open_files(pid).into_iter().filter(|name| name.starts_with("socket:")).collect()
}

/// The number of threads of a process.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// The resident memory of a process (`VmRSS`), in KiB.
pub(crate) fn rss_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmRSS:")
}

/// The peak resident memory of a process (`VmHWM`), in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmHWM:")
}

fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// The total size of open files of a process that have been unlinked.
pub(crate) fn nameless_bytes(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| {
                let link = fs::read_link(entry.path()).unwrap_or_default();
                link.to_string_lossy().ends_with(" (deleted)")
            })
            .filter_map(|entry| Some(fs::metadata(entry.path()).ok()?.len()))
            .sum()
    })
}

/// The processor time of a process, in clock ticks (100 per second on Linux).
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    stat(pid, STAT_UTIME).unwrap_or(0) + stat(pid, STAT_STIME).unwrap_or(0)
}

/// Sends a signal; a process that has already gone is not an error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    let _ = rustix::process::kill_process(pid, signal);
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A numeric field of `/proc/PID/stat`, counted from 1 as in proc(5). The second field is the name
/// in parentheses and may contain anything, so counting starts after it.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(field - 3)?.parse().ok()
}

/// A state of `/proc/net/tcp` (`TCP_LISTEN`).
const TCP_LISTEN: &str = "0A";
const STAT_PPID: usize = 4;
const STAT_UTIME: usize = 14;
const STAT_STIME: usize = 15;
