//! A program that carries the bytes of a session on its standard input and output (`ProxyCommand`).

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

/// The near end of a running program. Dropping it ends the program and what it started.
pub(crate) struct ProxyCommand {
    input: ChildStdin,
    output: ChildStdout,
    _running: DropGuard,
}

/// What a program has said, and what became of it, for whoever wants to tell it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandEnd {
    over: CancellationToken,
    facts: Arc<Mutex<EndFacts>>,
}

#[derive(Debug, Default)]
struct EndFacts {
    /// None as well where it had to be ended.
    status: Option<ExitStatus>,
    last_line: String,
}

impl ProxyCommand {
    /// Starts `command` as `ssh` does: by the user's shell, which `exec`s it. Its standard error goes
    /// to the log, line by line. It gets a process group of its own, so that Ctrl-C does not end it
    /// before us, and all it started ends with it; so it cannot ask anything on the terminal.
    /// One of `running` waits for its end.
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
        running.spawn(look_after(child, errors, stop.clone(), end.clone()));
        Ok((Self { input, output, _running: stop.drop_guard() }, end))
    }
}

impl CommandEnd {
    /// The status of a program that has just ended, or is about to, and the last line that it wrote
    /// to its standard error; `None` when it runs on.
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

/// Runs until the program is over, and reaps it.
async fn look_after(
    mut child: Child,
    errors: ChildStderr,
    stop: CancellationToken,
    end: CommandEnd,
) {
    let mut telling = task::spawn(tell_errors(errors, end.clone()));
    let mut is_ours = false;
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => {
            // It may be about to end by itself: then that is reported, and not our signal.
            if let Ok(status) = timeout(OWN_END, child.wait()).await {
                status
            } else {
                is_ours = true;
                terminate(&mut child).await
            }
        }
    };
    // What it started may live on and keep the pipe open.
    let _ = timeout(LAST_WORDS, &mut telling).await;
    drop(telling);
    match status {
        Ok(status) => {
            debug!(%status, "the proxy command is over");
            end.lock().status = Some(status).filter(|_| !is_ours);
        }
        Err(error) => debug!(%error, "the proxy command is lost"),
    }
    end.over.cancel();
}

/// Asks the program and all that it started to end, as `ssh` does, and then makes them.
async fn terminate(child: &mut Child) -> io::Result<ExitStatus> {
    signal(child, Signal::HUP);
    if let Ok(status) = timeout(PATIENCE, child.wait()).await {
        return status;
    }
    signal(child, Signal::KILL);
    child.wait().await
}

/// Signals its process group, while the program has not been waited for: so long nobody else has its
/// number.
fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process_group(pid, signal)
    {
        debug!(%error, "the proxy command cannot be signalled");
    }
}

/// Logs what a program says, and remembers the last of it. It is read to its end, whatever is shown.
async fn tell_errors(mut errors: ChildStderr, end: CommandEnd) {
    let (mut line, mut shown) = (Vec::new(), 0);
    let mut tell = |line: &mut Vec<u8>| {
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
                b'\n' => tell(&mut line),
                // What does not fit is not shown.
                _ if line.len() <= 4 * MAX_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    tell(&mut line);
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

/// How long a program whose pipes are closed may take to end by itself.
const OWN_END: Duration = Duration::from_millis(250);
/// How long a program whose pipes are closed takes to be over, at the most.
pub(super) const LONGEST: Duration = Duration::from_secs(4);
/// How long the last words of a program are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many lines of a program are shown.
const MAX_LINES: usize = 100;
/// So many characters of each.
const MAX_LINE: usize = 512;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn start(command: &str) -> io::Result<(ProxyCommand, CommandEnd)> {
        ProxyCommand::start(command, &TaskTracker::new())
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_of_the_program_is_an_end() {
        let (mut command, end) = start("head -c 5").expect("a shell");
        command.write_all(b"hello").await.expect("room");
        let mut seen = Vec::new();
        command.read_to_end(&mut seen).await.expect("what was written");
        assert_eq!(seen, b"hello");
        let (status, _) = end.report().await.expect("it has ended");
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }

    #[tokio::test]
    async fn a_program_that_fails_is_told_with_its_status_and_its_last_words() {
        let failing = "sh -c 'echo first >&2; printf \"\\033[2Jno way\" >&2; exit 7'";
        let (_command, end) = start(failing).expect("a shell");
        let (status, said) = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                if let Some(told) = end.report().await {
                    return told;
                }
            }
        })
        .await
        .expect("it ends");
        assert_eq!(status.and_then(|status| status.code()), Some(7));
        assert_eq!(said, "\\u{1b}[2Jno way");
    }

    #[tokio::test]
    async fn a_program_that_closes_its_output_first_is_told_with_its_own_end() {
        let script = "sh -c 'exec >&-; sleep 0.1; echo no way >&2; exit 7'";
        let (mut command, end) = start(script).expect("a shell");
        let closed = command.read_to_end(&mut Vec::new()).await.expect("an end");
        assert_eq!(closed, 0);
        drop(command);
        let (status, said) = timeout(Duration::from_secs(30), async {
            loop {
                if let Some(told) = end.report().await {
                    return told;
                }
            }
        })
        .await
        .expect("it ends");
        assert_eq!((status.and_then(|status| status.code()), said.as_str()), (Some(7), "no way"));
    }

    #[tokio::test]
    async fn a_program_that_is_let_go_ends_with_what_it_started() {
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
        let told = tokio::time::timeout(Duration::from_secs(20), end.over.cancelled()).await;
        told.expect("it is over");
        assert_eq!(end.lock().status, None, "our own signal is nobody's news");
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
        .expect("what it started has ended, too");
    }
}
