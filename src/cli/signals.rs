//! Signals: the first asks for a clean stop, the second exits at once. If the program runs a
//! configuration file, SIGHUP reloads it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::low_level::emulate_default_handler;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::run_options::RunIn;
use super::terminal;

/// The signals that end the program.
#[derive(Debug)]
pub struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
    meaning: HangUp,
}

/// What SIGHUP means.
#[derive(Clone, Debug)]
pub enum HangUp {
    /// The terminal is gone, so the program stops.
    Stop,
    /// Reload the configuration; but stop if the program was started on a terminal, and that is gone.
    Reload {
        /// Notified for each SIGHUP.
        asked: Arc<Notify>,
        /// Whether there was a terminal at start.
        started: Started,
    },
}

/// Where the program was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// On a terminal, in the foreground.
    OnTerminal,
    /// Without a terminal, or in the background.
    Elsewhere,
}

/// A signal that ended the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone. A background program has none.
    HangUp,
}

/// Whether the program has something to stop cleanly.
#[derive(Debug, Default)]
pub struct Readiness {
    reached: Cell<bool>,
    stop_level: Cell<StopLevel>,
}

/// The level at which a stop is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StopLevel {
    /// Information.
    #[default]
    Info,
    /// Debugging.
    Debug,
}

impl Signals {
    /// Handles the signals, except those that were ignored when the program started (`nohup`, a shell's
    /// background jobs). SIGHUP for a reload is handled even then, but never stops the program. Must be
    /// called inside a tokio runtime.
    pub fn listen(meaning: HangUp) -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_ignored = |kind: SignalKind| ignored & (1 << (kind.as_raw_value() - 1)) != 0;
        let listen = |kind| if is_ignored(kind) { Ok(None) } else { signal(kind).map(Some) };
        let (hang_up, meaning) = match meaning {
            HangUp::Stop => (listen(SignalKind::hangup())?, meaning),
            HangUp::Reload { asked, started } => {
                let unheeded = is_ignored(SignalKind::hangup());
                let started = if unheeded { Started::Elsewhere } else { started };
                (Some(signal(SignalKind::hangup())?), HangUp::Reload { asked, started })
            }
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up,
            meaning,
        })
    }

    /// Waits for the next signal that asks for a stop.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost when the future is dropped.
    pub async fn next(&mut self) -> Stop {
        loop {
            tokio::select! {
                () = receive(&mut self.interrupt) => return Stop::Interrupt,
                () = receive(&mut self.terminate) => return Stop::Terminate,
                () = receive(&mut self.hang_up) => match &self.meaning {
                    HangUp::Reload { asked, started } if !started.is_terminal_gone() => {
                        asked.notify_one();
                    }
                    HangUp::Reload { .. } | HangUp::Stop => return Stop::HangUp,
                }
            }
        }
    }
}

impl Started {
    /// The place where this process was started; `run_in` is where it is to run.
    pub fn now(run_in: RunIn) -> Self {
        match run_in {
            RunIn::Foreground if terminal::is_there() => Self::OnTerminal,
            RunIn::Foreground | RunIn::Background => Self::Elsewhere,
        }
    }

    fn is_terminal_gone(self) -> bool {
        self == Self::OnTerminal && !terminal::is_there()
    }
}

impl Stop {
    /// The exit status, as in a shell: 128 plus the number of the signal.
    pub fn status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::HangUp => 129,
        }
    }

    /// Ends the program by the signal, from which a shell sees that its script is to end, too, and a service
    /// manager that nothing failed. The first process of a container, which its own signals do not end, gets
    /// the status to end with.
    pub fn end(self) -> ExitCode {
        if std::process::id() != 1 {
            let signal = i32::from(self.status()) - 128;
            // It fails for a number that is no signal.
            let _ = emulate_default_handler(signal);
        }
        ExitCode::from(self.status())
    }
}

impl Readiness {
    /// Logs the stop at debug level only: the terminal belongs to the program that stops this one.
    pub fn stop_quietly(&self) {
        self.stop_level.set(StopLevel::Debug);
    }

    /// Marks the program as ready: from now on there is something to stop cleanly.
    pub fn reached(&self) {
        self.reached.set(true);
    }
}

/// Runs `work` until it ends. The first signal cancels `drain`, which tells `work` to stop cleanly; the
/// second, or any signal before readiness, drops `work`. The error is the signal that did so.
pub async fn until_stopped<T>(
    mut next: impl AsyncFnMut() -> Stop,
    readiness: &Readiness,
    drain: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Stop> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return Ok(result),
            stop = next() => {
                if drain.is_cancelled() || !readiness.reached.get() {
                    return Err(stop);
                }
                match readiness.stop_level.get() {
                    StopLevel::Info => tracing::info!("stopping"),
                    StopLevel::Debug => tracing::debug!("stopping"),
                }
                drain.cancel();
            }
        }
    }
}

/// Waits for a signal; for ever if it is not handled.
async fn receive(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    // The signal is not handled, or the runtime delivers no more signals.
    std::future::pending::<()>().await;
}

/// The signals that were ignored when the program started, as a mask: bit n-1 stands for signal n.
/// Known on Linux only; empty elsewhere.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Runs with signals from a channel; none arrive once it is closed.
    async fn run<T>(
        stops: &[Stop],
        readiness: &Readiness,
        drain: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        for stop in stops {
            sender.send(*stop).expect("the receiver is here");
        }
        let next = async || match receiver.recv().await {
            Some(stop) => stop,
            None => std::future::pending().await,
        };
        drop(sender);
        until_stopped(next, readiness, drain, work).await
    }

    fn ready() -> Readiness {
        let readiness = Readiness::default();
        readiness.reached();
        readiness
    }

    #[tokio::test]
    async fn the_first_signal_drains() {
        let drain = CancellationToken::new();
        let work = async {
            drain.cancelled().await;
            "drained"
        };
        assert_eq!(run(&[Stop::Terminate], &ready(), &drain, work).await, Ok("drained"));
    }

    #[tokio::test]
    async fn the_second_signal_exits_at_once_with_its_status() {
        let drain = CancellationToken::new();
        let work = std::future::pending::<()>();
        let stops = [Stop::Terminate, Stop::Interrupt];
        assert_eq!(run(&stops, &ready(), &drain, work).await, Err(Stop::Interrupt));
        assert!(drain.is_cancelled());
    }

    #[tokio::test]
    async fn before_it_is_ready_there_is_nothing_to_drain() {
        let drain = CancellationToken::new();
        let work = std::future::pending::<()>();
        let result = run(&[Stop::HangUp], &Readiness::default(), &drain, work).await;
        assert_eq!(result, Err(Stop::HangUp));
        assert!(!drain.is_cancelled());
    }

    #[tokio::test]
    async fn work_that_ends_by_itself_is_not_stopped() {
        let drain = CancellationToken::new();
        let result = run(&[], &ready(), &drain, async { 5 }).await;
        assert_eq!(result, Ok(5));
        assert!(!drain.is_cancelled());
    }

    #[test]
    fn statuses_are_those_of_a_shell() {
        for (stop, kind) in [
            (Stop::Interrupt, SignalKind::interrupt()),
            (Stop::Terminate, SignalKind::terminate()),
            (Stop::HangUp, SignalKind::hangup()),
        ] {
            assert_eq!(i32::from(stop.status()), 128 + kind.as_raw_value());
        }
    }
}
