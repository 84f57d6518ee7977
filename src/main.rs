//! The program: arguments, logs, the background, signals, and the exit status.

mod allocator;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sockeye::app;
use sockeye::cli::assemble::Assembled;
use sockeye::cli::background::{self, Background, Stderr};
use sockeye::cli::command::{Command, ProxyCommand};
use sockeye::cli::descriptors;
use sockeye::cli::from_file::{FileCommand, Following};
use sockeye::cli::hardening;
use sockeye::cli::run_options::RunIn;
use sockeye::cli::signals::{HangUp, Readiness, Signals, Started, Stop, until_stopped};
use sockeye::cli::terminal::Terminal;
use sockeye::cli::{FileError, assemble, check, demo, meant};
use sockeye::listen::Inherited;
use sockeye::observe::logs::{LogOptions, Logs, Verbosity};
use sockeye::openssh::Prompter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    hardening::seal();
    descriptors::raise();
    let inherited = match Inherited::from_environment() {
        Ok(inherited) => inherited,
        Err(error) => {
            return fail(&anyhow::Error::new(error).context("a socket of the service manager"));
        }
    };
    let words = || std::env::args_os().skip(1);
    let command = match Command::read(words()) {
        Ok(command) => command,
        Err(exit) => return exit.print(),
    };
    let half = match background_half(&command) {
        Ok(Half::Only) => None,
        Ok(Half::Back(background)) => Some(background),
        Ok(Half::Fore) => match launch(words()) {
            Ok(status) => return ExitCode::from(status),
            Err(error) => return fail(&error.context("cannot go to the background")),
        },
        Err(error) => return fail(&error.context("cannot go to the background")),
    };
    let terminal = Terminal::remember();
    let ended = work(command, half, inherited);
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    match ended {
        Ok(Ok(status)) => status,
        Ok(Err(stop)) => stop.end(),
        Err(error) => fail(&error),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// What SIGHUP means to a command.
fn hang_up(command: &Command, asked: &Arc<Notify>) -> HangUp {
    match command {
        Command::File(command) => {
            HangUp::Reload { asked: Arc::clone(asked), started: Started::now(command.run.run_in) }
        }
        _ => HangUp::Stop,
    }
}

/// The part that this process plays in `-f`.
enum Half {
    /// No part: it stays in the foreground.
    Only,
    /// The foreground half, which waits until the background half is ready.
    Fore,
    /// The background half, which does the work.
    Back(Background),
}

fn background_half(command: &Command) -> anyhow::Result<Half> {
    let Some(options) = command.run_options() else { return Ok(Half::Only) };
    // ssh_config may request the background, too; this process then starts the background half later.
    Ok(match (Background::detect()?, options.run_in) {
        (Some(background), _) => Half::Back(background),
        (None, RunIn::Background) => Half::Fore,
        (None, RunIn::Foreground) => Half::Only,
    })
}

fn launch(words: impl Iterator<Item = std::ffi::OsString>) -> anyhow::Result<u8> {
    Ok(background::launch(&std::env::current_exe()?, words)?)
}

/// Runs the command, and returns the exit status, or the signal that ended it.
fn work(
    command: Command,
    half: Option<Background>,
    inherited: Inherited,
) -> anyhow::Result<Result<ExitCode, Stop>> {
    let logs =
        Logs::start(command.log(), command.log_file()).with_context(|| cannot_log(&command))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(allocator::give_back)
        .build()?;
    let ended = runtime.block_on(async {
        let asked = Arc::new(Notify::new());
        let mut signals = Signals::listen(hang_up(&command, &asked))?;
        let (readiness, drain) = (Readiness::default(), CancellationToken::new());
        let stderr = stderr_behind(command.log());
        let up = Up {
            half,
            stderr,
            logs: &logs,
            readiness: &readiness,
            drain: drain.clone(),
            inherited,
        };
        let work = async {
            match command {
                // Boxed, since it contains the state of every stage.
                Command::Proxy(proxy) => Box::pin(proxy_to(*proxy, up)).await,
                Command::File(command) => {
                    Box::pin(proxy_by_file(command, asked, up)).await?;
                    Ok(ExitCode::SUCCESS)
                }
                Command::Check(command) => Ok(done(check::run(&command).await?)),
                Command::Errand(errand) => Ok(done(errand.run().await?)),
                Command::Operate(command) => Ok(command.run().await),
                Command::Demo(command) => {
                    Ok(done(demo::run(command, || readiness.reached(), drain.clone()).await?))
                }
            }
        };
        anyhow::Ok(until_stopped(async || signals.next().await, &readiness, &drain, work).await)
    })?;
    match &ended {
        // What is left has had its time, or is a thread that waits for input or for a file.
        Ok(_) => runtime.shutdown_background(),
        // Tasks that were cut off remove their sockets' files and end their processes when they are dropped.
        Err(_) => runtime.shutdown_timeout(DROP_LIMIT),
    }
    Ok(ended.map(|result| {
        result.unwrap_or_else(|error| {
            // The reason of the end is not one of the lines that are dropped.
            logs.flush();
            let meant = meant(&error).map(|name| format!("; did you mean 'sockeye {name}'?"));
            tracing::error!("{error:#}{}", meant.unwrap_or_default());
            if is_wrong_usage(&error) { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        })
    }))
}

async fn proxy_to(command: ProxyCommand, up: Up<'_>) -> anyhow::Result<ExitCode> {
    let idle = command.idle.clone();
    let log = command.run.log;
    let Assembled { options, verbosity, run_in } =
        assemble::assemble(command, Some(up.logs.volume())).await?;
    if let Some(verbosity) = verbosity {
        up.logs.volume().set(verbosity);
    }
    if run_in == RunIn::Background && up.half.is_none() {
        // ssh_config requests the background, and nothing has started yet.
        let status = launch(std::env::args_os().skip(1)).context("cannot go to the background")?;
        return Ok(ExitCode::from(status));
    }
    if options.stdio.is_some() {
        up.readiness.stop_quietly();
    }
    log_ineffective(&idle, &options);
    let stderr = stderr_behind(LogOptions { verbosity, ..log });
    let up = Up { stderr, ..up };
    serve(options, async |_| std::future::pending().await, up).await?;
    Ok(ExitCode::SUCCESS)
}

/// Logs configured options that have no effect.
fn log_ineffective(flags: &[String], options: &app::Options) {
    for notice in flags {
        tracing::debug!("{notice}");
    }
    for server in &options.servers {
        for (keyword, why) in &server.config.process.idle {
            tracing::debug!(server = %server.name, "{keyword} has no effect: {why}");
        }
        for (keyword, note) in &server.config.process.notes {
            tracing::debug!(server = %server.name, "{keyword}: {note}");
        }
    }
}

/// The error for a log file that cannot be opened.
fn cannot_log(command: &Command) -> String {
    match command.log_file() {
        Some(file) => format!("cannot log to {}", file.display()),
        None => "cannot log".to_owned(),
    }
}

async fn proxy_by_file(command: FileCommand, asked: Arc<Notify>, up: Up<'_>) -> anyhow::Result<()> {
    let (options, mut following) = Following::start(command, asked, up.logs.volume()).await?;
    serve(options, async |last| following.next(last).await, up).await
}

/// What to do once the proxy is up, and the resources for it.
struct Up<'a> {
    half: Option<Background>,
    stderr: Stderr,
    logs: &'a Logs,
    readiness: &'a Readiness,
    drain: CancellationToken,
    /// Sockets that are already bound.
    inherited: Inherited,
}

async fn serve(
    mut options: app::Options,
    next: impl AsyncFnMut(Result<(), app::Error>) -> app::Options,
    up: Up<'_>,
) -> anyhow::Result<()> {
    let Up { half, stderr, logs, readiness, drain, inherited } = up;
    options.inherited = inherited;
    let prompter = Prompter::from_environment().settling(logs.flusher());
    let asking = prompter.clone();
    let mut left = Ok(());
    let ready = || {
        readiness.reached();
        // Flushed before the terminal is released.
        logs.flush();
        let Some(half) = half else { return };
        asking.detach();
        if let Err(error) = half.ready(stderr) {
            left = Err(error);
            drain.cancel();
        }
    };
    let stop = drain.clone().cancelled_owned();
    // Boxed, since the state of the program is large.
    Box::pin(app::run(options, prompter, ready, next, stop)).await?;
    left.map_err(|error| anyhow::Error::new(error).context("cannot go to the background"))
}

/// What becomes of standard error in the background.
fn stderr_behind(log: LogOptions) -> Stderr {
    match log.verbosity.unwrap_or_default() {
        Verbosity::Quiet | Verbosity::Normal => Stderr::Dropped,
        Verbosity::Debug | Verbosity::Trace => Stderr::Kept,
    }
}

/// Whether the command line, or a file that it names, is at fault.
fn is_wrong_usage(error: &anyhow::Error) -> bool {
    let app = error.downcast_ref::<app::Error>().is_some_and(app::Error::is_wrong_usage);
    app || error.is::<FileError>()
}

/// Prints an error before there is a log.
fn fail(error: &anyhow::Error) -> ExitCode {
    use std::io::Write;
    // A closed standard error is no reason to panic.
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
    ExitCode::FAILURE
}

/// The time for tasks to be dropped after a signal, in case a thread is blocked.
const DROP_LIMIT: Duration = Duration::from_secs(1);
/// The exit status for a mistake in the command line, or in a file that it names.
const WRONG_USAGE: u8 = 2;
