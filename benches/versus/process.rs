//! A child process, killed with its handle and inspected through `/proc`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A child process; dropping the handle kills and reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with an empty standard input, and its output in the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of its output, on one line, with control characters escaped.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(400)..];
        String::from_utf8_lossy(tail).trim().escape_debug().to_string()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a process; one that has already gone is not an error.
pub(crate) fn kill(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Whether the process is running, and not a zombie.
pub(crate) fn runs(id: u32) -> bool {
    stat(id).is_some_and(|fields| fields[0] != "Z")
}

/// All descendants of `ancestor`.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, stat(id)?[1].parse().ok()?)))
        .collect();
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| id));
        next += 1;
    }
    found.split_off(1)
}

/// The processor time of a process so far, user and system, in seconds. Linux counts it in
/// hundredths.
pub(crate) fn cpu_seconds(id: u32) -> Result<f64> {
    let fields = stat(id).context("read the process's stat")?;
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// The resident memory of a process in kB, from `smaps_rollup`: exact, unlike `status`.
pub(crate) fn resident_kb(id: u32) -> Result<f64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let rollup = fs::read_to_string(Path::new(&path)).with_context(|| format!("read {path}"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss line")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// The fields of `/proc/ID/stat` from the third (the state) on; the second, the name, may contain
/// spaces and parentheses.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}
