//! The commands that are sent to a running program: `status`, `wait`, `ping`, `top`, `connections`,
//! `kill`, `forward`, `dashboard`, `reload`, `stop`, `log`, and ssh's own `-O`.

use std::process::ExitCode;

use hyper::Method;
use serde::Serialize;

use crate::control::client::{Client, ClientError};
use crate::control::schema;
use crate::destination::Destination;
use crate::forward::ListenAddress;
use crate::openssh::ConfigError;

use super::configured::say;
use instance::Instance;

#[macro_use]
pub(super) mod args;
mod connections;
mod dashboard;
mod forward;
mod instance;
mod mux;
mod ping;
mod show;
mod status;
mod top;

pub(super) use mux::MuxCommand;

use args::{ConnectionsArgs, DashboardArgs, ForwardArgs, KillArgs, LogArgs, Named, PingArgs};
use args::{StatusArgs, StopArgs, WaitArgs, Which};

/// A command to a running program, as written by the user.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum OperateCommand {
    Status(StatusArgs),
    Wait(WaitArgs),
    Ping(PingArgs),
    #[command(
        about = "Shows a running program live: servers, connections, rules. The key ? shows help.",
        after_help = after!("0 when it is done, 1 when not")
    )]
    Top(Named),
    Connections(ConnectionsArgs),
    Kill(KillArgs),
    Forward(ForwardArgs),
    Dashboard(DashboardArgs),
    #[command(
        about = "Makes a running program reload its configuration, and shows the outcome.",
        after_help = after!("0 when it is done, 1 when not")
    )]
    Reload(Named),
    Stop(StopArgs),
    Log(LogArgs),
    /// ssh's `-O`.
    #[command(skip)]
    Mux(MuxCommand),
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    /// No program is running, or none of this name.
    #[error("{0}")]
    NotRunning(String),
    #[error("several are running: name one of {0}")]
    WhichOne(String),
    /// The command line is inconsistent.
    #[error("{0}")]
    Words(String),
    #[error("not in time: {0}")]
    NotInTime(String),
    #[error("the terminal: {0}")]
    Terminal(std::io::Error),
    #[error("cannot open the browser of the desktop: {0}")]
    Browser(std::io::Error),
    /// The tokens of a path cannot be expanded.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl OperateCommand {
    /// Runs the command, and returns the exit status.
    pub async fn run(self) -> ExitCode {
        let done = match self {
            Self::Status(args) => status::status(args).await,
            Self::Wait(args) => status::wait(args).await,
            Self::Ping(args) => ping::run(args).await,
            Self::Top(which) => top::run(which).await,
            Self::Connections(args) => connections::list(args).await,
            Self::Kill(args) => connections::kill(args).await,
            Self::Forward(args) => forward::run(args).await,
            Self::Dashboard(args) => dashboard::run(args).await,
            Self::Reload(which) => reload(which).await,
            Self::Stop(args) => stop(args.which, args.now).await,
            Self::Log(args) => log(args).await,
            Self::Mux(command) => command.run().await,
        };
        match done {
            Ok(status) => ExitCode::from(status),
            Err(failure) => {
                let status = match &failure {
                    Failure::NotRunning(_) | Failure::Client(ClientError::NotRunning { .. }) => {
                        NOT_RUNNING
                    }
                    Failure::WhichOne(_) | Failure::Words(_) | Failure::Config(_) => WRONG,
                    Failure::Client(_)
                    | Failure::NotInTime(_)
                    | Failure::Terminal(_)
                    | Failure::Browser(_) => FAILED,
                };
                report(&failure);
                ExitCode::from(status)
            }
        }
    }
}

/// The proxies that are running, for programs on this machine: the first TCP port of each instance that has one.
pub(super) async fn running_proxies() -> Vec<Destination> {
    let mut proxies = Vec::new();
    for instance in Instance::all(Which::default()).unwrap_or_default() {
        if let Ok(status) = Client::new(instance.socket).get("/v1/status").await {
            proxies.extend(first_proxy(&status));
        }
    }
    proxies
}

fn first_proxy(status: &schema::Status) -> Option<Destination> {
    let proxies = status.forwards.iter().filter(|forward| forward.kind == "dynamic");
    proxies.flat_map(|proxy| &proxy.addresses).find_map(|address| {
        let ListenAddress::Tcp { bind, port } = address.parse().ok()? else { return None };
        Destination::new(bind.reached_at(), port).ok()
    })
}

/// The outcome of a command: its exit status.
type Done = Result<u8, Failure>;

async fn reload(which: Named) -> Done {
    let client = client(which)?.patient();
    let done: schema::Reloaded = client.ask(Method::POST, "/v1/reload", &()).await?;
    say(&format!("{}\n", show::text(&done.changes)));
    Ok(FINE)
}

async fn stop(which: impl Into<Which>, now: bool) -> Done {
    let client = client(which)?;
    let request = schema::StopRequest { now };
    match client.ask::<schema::StopRequest, _>(Method::POST, "/v1/stop", &request).await {
        // The program may exit before it answers.
        Ok(_) | Err(ClientError::Broken(_)) => Ok(FINE),
        Err(error) => Err(error.into()),
    }
}

async fn log(args: LogArgs) -> Done {
    let client = client(args.which)?;
    let request = schema::LogRequest { level: args.level };
    client.ask::<schema::LogRequest, _>(Method::PUT, "/v1/log", &request).await?;
    Ok(FINE)
}

/// Connects a client to the program that a command is for.
fn client(which: impl Into<Which>) -> Result<Client, Failure> {
    Ok(Client::new(Instance::one(which.into())?.socket))
}

/// The answer to one of several requests; `None` if it was refused, which is reported.
fn unless_refused<T>(answer: Result<T, ClientError>) -> Result<Option<T>, Failure> {
    match answer {
        Err(error @ ClientError::Refused(_)) => {
            report(&error.into());
            Ok(None)
        }
        answer => Ok(Some(answer?)),
    }
}

/// Prints a value as one line of JSON.
fn say_json(content: &impl Serialize) {
    say(&json(content));
}

/// A value as one line of JSON.
fn json(content: &impl Serialize) -> String {
    format!("{}\n", serde_json::to_string(content).unwrap_or_default())
}

/// Reports a failure on standard error.
fn report(failure: &Failure) {
    note(&format!("error: {}", show::text(&failure.to_string())));
    if let Failure::Client(ClientError::Refused(problem)) = failure {
        for line in &problem.details {
            note(&format!("error: {}", show::text(line)));
        }
    }
}

/// Writes a line to standard error.
fn note(line: &str) {
    use std::io::Write as _;
    // A closed standard error is no reason to panic.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The exit status of success.
const FINE: u8 = 0;
/// The exit status if the command failed, or something is down.
const FAILED: u8 = 1;
/// The exit status of a wrong command line.
const WRONG: u8 = 2;
/// The exit status if no program is running, as in `systemctl is-active`.
const NOT_RUNNING: u8 = 3;
