//! A program whose standard input and output carry a session (`ProxyCommand`).

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::shell;
use crate::lock::lock;
use crate::printable::{Lines, printable};
use crate::task;

/// A running program. Dropping it ends the program and its descendants.
pub(crate) struct ProxyCommand {
    input: ChildStdin,
    output: ChildStdout,
    _running: DropGuard,
}

/// The messages and the end of a program, for error messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandEnd {
    over: CancellationToken,
    facts: Arc<Mutex<EndFacts>>,
}

#[derive(Debug, Default)]
struct EndFacts {
    /// None also if the program had to be killed.
    status: Option<ExitStatus>,
    last_line: String,
}

impl ProxyCommand {
    /// Starts `command` as `ssh` does: through the user's shell with `exec`. Its standard error is logged line
    /// by line. It gets a process group of its own, so that Ctrl-C does not end it before this program, and its
    /// descendants end with it; therefore it cannot use the terminal. A task of `running` waits for its end.
    pub(crate) fn start(command: &str, running: &TaskTracker) -> io::Result<(Self, CommandEnd)> {
        let mut child = shell::command(&format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        debug!(pid = child.id(), "started the proxy command");
        let missing = || io::Error::other("a pipe of the proxy command is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let (stop, end) = (CancellationToken::new(), CommandEnd::default());
        running.spawn(supervise(child, errors, stop.clone(), end.clone()));
        Ok((Self { input, output, _running: stop.drop_guard() }, end))
    }
}

impl CommandEnd {
    /// The status of a program that has ended or is about to, and the last line of its standard error; `None`
    /// if it keeps running.
    pub(crate) async fn report(&self) -> Option<(Option<ExitStatus>, String)> {
        timeout(LAST_WORDS, self.over.cancelled()).await.ok()?;
        let facts = self.lock();
        Some((facts.status, facts.last_line.clone()))
    }

    /// Whether it has written to its standard error.
    pub(super) fn has_spoken(&self) -> bool {
        !self.lock().last_line.is_empty()
    }

    #[cfg(test)]
    pub(super) fn spoke(&self, line: &str) {
        line.clone_into(&mut self.lock().last_line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, EndFacts> {
        lock(&self.facts)
    }
}

/// Waits for the end of the program, and reaps it.
async fn supervise(
    mut child: Child,
    errors: ChildStderr,
    stop: CancellationToken,
    end: CommandEnd,
) {
    let mut logging = task::spawn(log_errors(errors, end.clone()));
    let mut is_ours = false;
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => {
            // If it is about to end by itself, that status is reported instead of a signal from here.
            if let Ok(status) = timeout(OWN_END, child.wait()).await {
                status
            } else {
                is_ours = true;
                terminate(&mut child).await
            }
        }
    };
    // Descendants may live on and keep the pipe open.
    let _ = timeout(LAST_WORDS, &mut logging).await;
    drop(logging);
    match status {
        Ok(status) => {
            debug!(%status, "the proxy command is over");
            end.lock().status = Some(status).filter(|_| !is_ours);
        }
        Err(error) => debug!(%error, "the proxy command is lost"),
    }
    end.over.cancel();
}

/// Asks the program and its descendants to terminate, as `ssh` does, and then kills them.
async fn terminate(child: &mut Child) -> io::Result<ExitStatus> {
    signal(child, Signal::HUP);
    if let Ok(status) = timeout(PATIENCE, child.wait()).await {
        return status;
    }
    signal(child, Signal::KILL);
    child.wait().await
}

/// Signals its process group. Until the program is reaped, its process id cannot be reused.
fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process_group(pid, signal)
    {
        debug!(%error, "the proxy command cannot be signalled");
    }
}

/// Logs the program's messages and remembers the last one. All output is read, even if it is not shown.
async fn log_errors(mut errors: ChildStderr, end: CommandEnd) {
    let (mut line, mut shown) = (Vec::new(), 0);
    let mut log = |line: &mut Vec<u8>| {
        let text = printable(String::from_utf8_lossy(line).trim_end(), MAX_LINE, Lines::One);
        line.clear();
        if text.is_empty() {
            return;
        }
        shown += 1;
        if shown <= MAX_LINES {
            info!("the proxy command says: {text}");
        }
        end.lock().last_line = text;
    };
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = errors.read(&mut chunk).await {
        for byte in &chunk[..read] {
            match byte {
                b'\n' => log(&mut line),
                // The excess of a long line is dropped.
                _ if line.len() <= 4 * MAX_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    log(&mut line);
}

impl AsyncRead for ProxyCommand {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().output).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyCommand {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().input).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().input).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().input).poll_shutdown(cx)
    }
}

/// How long a program may take to end after its pipes are closed.
const OWN_END: Duration = Duration::from_millis(250);
/// The maximum time from closing a program's pipes to its end.
pub(super) const LONGEST: Duration = Duration::from_secs(4);
/// How long to wait for a program's last messages.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a program may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);
/// The number of lines of a program that are logged.
const MAX_LINES: usize = 100;
/// The maximum length of such a line, in characters.
const MAX_LINE: usize = 512;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn start(command: &str) -> io::Result<(ProxyCommand, CommandEnd)> {
        ProxyCommand::start(command, &TaskTracker::new())
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_of_the_program_is_eof() {
        let (mut command, end) = start("head -c 5").expect("a shell");
        command.write_all(b"hello").await.expect("room");
        let mut seen = Vec::new();
        command.read_to_end(&mut seen).await.expect("what was written");
        assert_eq!(seen, b"hello");
        let (status, _) = end.report().await.expect("it has ended");
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }

    #[tokio::test]
    async fn a_failed_program_is_reported_with_its_status_and_last_message() {
        let failing = "sh -c 'echo first >&2; printf \"\\033[2Jno way\" >&2; exit 7'";
        let (_command, end) = start(failing).expect("a shell");
        let (status, said) = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                if let Some(report) = end.report().await {
                    return report;
                }
            }
        })
        .await
        .expect("it ends");
        assert_eq!(status.and_then(|status| status.code()), Some(7));
        assert_eq!(said, "\\u{1b}[2Jno way");
    }

    #[tokio::test]
    async fn a_program_that_closes_its_output_first_is_reported_with_its_status() {
        let script = "sh -c 'exec >&-; sleep 0.1; echo no way >&2; exit 7'";
        let (mut command, end) = start(script).expect("a shell");
        let closed = command.read_to_end(&mut Vec::new()).await.expect("an end");
        assert_eq!(closed, 0);
        drop(command);
        let (status, said) = timeout(Duration::from_secs(30), async {
            loop {
                if let Some(report) = end.report().await {
                    return report;
                }
            }
        })
        .await
        .expect("it ends");
        assert_eq!((status.and_then(|status| status.code()), said.as_str()), (Some(7), "no way"));
    }

    #[tokio::test]
    async fn a_dropped_program_ends_with_its_descendants() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pid");
        let script = format!("sh -c 'sleep 1000 & echo $! > {}; wait'", file.display());
        let (command, end) = start(&script).expect("a shell");
        let pid = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        })
        .await
        .expect("it starts");
        drop(command);
        let ended = tokio::time::timeout(Duration::from_secs(20), end.over.cancelled()).await;
        ended.expect("it ends");
        assert_eq!(end.lock().status, None, "a signal from here is not reported");
        let lives = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        tokio::time::timeout(Duration::from_secs(20), async {
            while lives() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("its descendant has ended, too");
    }
}
