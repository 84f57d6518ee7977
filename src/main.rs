//! The program: arguments, logs, the background, signals, and the exit status.

use std::process::ExitCode;
use std::sync::Arc;

use sockeye::app;
use sockeye::cli::background::{self, Background, Stderr};
use sockeye::cli::command::{Command, DemoCommand, Ground, ProxyCommand};
use sockeye::cli::from_file::{FileCommand, Following};
use sockeye::cli::hardening;
use sockeye::cli::signals::{HangUp, Readiness, Signals, Started, Stop, until_stopped};
use sockeye::cli::terminal::Terminal;
use sockeye::cli::{FileError, assemble, check, demo, explain, pac};
use sockeye::observe::logs::{LogOptions, Logs, Verbosity};
use sockeye::openssh::Prompter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a download brings is allocated here and freed there, megabytes at a time: the system's allocator
/// gives them back to the kernel and faults them in again, a tenth of all our work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hardening::seal();
    let words = || std::env::args_os().skip(1);
    let command = match Command::read(words()) {
        Ok(command) => command,
        Err(exit) => return exit.tell(),
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
    let status = work(command, half).unwrap_or_else(|error| fail(&error));
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    status
}

/// What SIGHUP means for a command.
fn hang_up(command: &Command, asked: &Arc<Notify>) -> HangUp {
    match command {
        Command::File(command) => {
            HangUp::Reload { asked: Arc::clone(asked), started: Started::now(command.ground) }
        }
        _ => HangUp::Stop,
    }
}

/// Which half of `-f` this process is.
enum Half {
    /// There are no halves: it stays in the foreground.
    Only,
    /// The one that waits.
    Fore,
    /// The one that works.
    Back(Background),
}

fn background_half(command: &Command) -> anyhow::Result<Half> {
    match command {
        Command::Proxy(proxy) if proxy.ground == Ground::Back => both_halves(),
        Command::File(command) if command.ground == Ground::Back => both_halves(),
        _ => Ok(Half::Only),
    }
}

fn both_halves() -> anyhow::Result<Half> {
    Ok(Background::detect()?.map_or(Half::Fore, Half::Back))
}

fn launch(words: impl Iterator<Item = std::ffi::OsString>) -> anyhow::Result<u8> {
    Ok(background::launch(&std::env::current_exe()?, words)?)
}

/// Does what the command says, and gives the exit status.
fn work(command: Command, half: Option<Background>) -> anyhow::Result<ExitCode> {
    let logs = Logs::start(command.log())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let asked = Arc::new(Notify::new());
        let mut signals = Signals::listen(hang_up(&command, &asked))?;
        let (readiness, drain) = (Readiness::default(), CancellationToken::new());
        let work = async {
            match command {
                Command::Proxy(proxy) => {
                    // Large: the state of every stage is in it.
                    Box::pin(proxy_to(*proxy, half, &logs, &readiness, drain.clone())).await
                }
                Command::File(command) => {
                    // Its state is large, and is made once.
                    let readiness = &readiness;
                    Box::pin(proxy_by_file(command, asked, half, &logs, readiness, drain.clone()))
                        .await
                }
                Command::Check(command) => Ok(check::run(&command).await?),
                Command::Explain(command) => Ok(explain::run(&command).await?),
                Command::Pac(command) => Ok(pac::run(&command)?),
                Command::Errand(errand) => errand.run(),
                Command::Demo(command) => demo_of(command, &readiness, drain.clone()).await,
            }
        };
        anyhow::Ok(until_stopped(async || signals.next().await, &readiness, &drain, work).await)
    })?;
    // A thread that waits for a password would hold up an ordinary end.
    runtime.shutdown_background();
    Ok(match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!("{error:#}");
            if is_wrong_usage(&error) { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
        Err(stop) => ExitCode::from(Stop::status(stop)),
    })
}

async fn proxy_to(
    command: ProxyCommand,
    half: Option<Background>,
    logs: &Logs,
    readiness: &Readiness,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    let stderr = stderr_behind(command.log);
    let options = assemble::options(command).await?;
    let up = Up { half, stderr, logs, readiness, drain };
    serve(options, async |_| std::future::pending().await, up).await
}

async fn proxy_by_file(
    command: FileCommand,
    asked: Arc<Notify>,
    half: Option<Background>,
    logs: &Logs,
    readiness: &Readiness,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    let stderr = stderr_behind(command.log);
    let (options, mut following) = Following::start(command, asked).await?;
    let up = Up { half, stderr, logs, readiness, drain };
    serve(options, async |last| following.next(last).await, up).await
}

/// What is to be done when the proxy is up, and what it takes.
struct Up<'a> {
    half: Option<Background>,
    stderr: Stderr,
    logs: &'a Logs,
    readiness: &'a Readiness,
    drain: CancellationToken,
}

async fn serve(
    options: app::Options,
    next: impl AsyncFnMut(app::Last) -> app::Options,
    up: Up<'_>,
) -> anyhow::Result<()> {
    let Up { half, stderr, logs, readiness, drain } = up;
    let prompter = Prompter::from_environment();
    let asking = prompter.clone();
    let mut left = Ok(());
    let ready = || {
        readiness.reached();
        // What was said until now belongs on the terminal.
        logs.flush();
        let Some(half) = half else { return };
        asking.detach();
        if let Err(error) = half.ready(stderr) {
            left = Err(error);
            drain.cancel();
        }
    };
    let stop = drain.clone().cancelled_owned();
    app::run(options, prompter, ready, next, stop).await?;
    left.map_err(|error| anyhow::Error::new(error).context("cannot go to the background"))
}

/// What becomes of standard error in the background.
fn stderr_behind(log: LogOptions) -> Stderr {
    match log.verbosity {
        Verbosity::Quiet | Verbosity::Normal => Stderr::Dropped,
        Verbosity::Debug | Verbosity::Trace => Stderr::Kept,
    }
}

async fn demo_of(
    command: DemoCommand,
    readiness: &Readiness,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    demo::run(command, || readiness.reached(), drain).await
}

/// Whether the command line, or a file that it names, is at fault.
fn is_wrong_usage(error: &anyhow::Error) -> bool {
    let app = error.downcast_ref::<app::Error>().is_some_and(app::Error::is_wrong_usage);
    app || error.is::<FileError>()
}

/// Says what went wrong before there was a log.
fn fail(error: &anyhow::Error) -> ExitCode {
    use std::io::Write;
    // A standard error that is gone is no reason to panic.
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
    ExitCode::FAILURE
}

/// The exit status where the command line, or a file that it names, is at fault.
const WRONG_USAGE: u8 = 2;
