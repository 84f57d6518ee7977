//! Databases behind the SSH server, which clients reach over a forward; only those that are installed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::User;
use tempfile::TempDir;

use crate::client::free_port;
use crate::process::Process;

/// A database that a measure uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Database {
    Redis,
    Postgres,
}

/// A running database; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    // Dropped before its files.
    _process: Process,
    address: SocketAddr,
    _dir: TempDir,
}

impl Database {
    /// Whether its server and its benchmark are installed.
    pub(crate) fn is_installed(self) -> bool {
        let on_path = |name| on_path(name).is_some();
        match self {
            Self::Redis => on_path("redis-server") && on_path("redis-benchmark"),
            Self::Postgres => postgres_programs().is_some(),
        }
    }

    /// Starts it with the data that its benchmark needs.
    pub(crate) fn start(self) -> Result<Running> {
        let dir = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let port = free_port()?;
        let process = match self {
            Self::Redis => start_redis(dir.path(), port),
            Self::Postgres => start_postgres(dir.path(), port),
        }?;
        Ok(Running { _process: process, address: (Ipv4Addr::LOCALHOST, port).into(), _dir: dir })
    }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The path of pgbench, a client program of `PostgreSQL`.
pub(crate) fn pgbench() -> Option<PathBuf> {
    postgres_programs().map(|programs| programs.join("pgbench"))
}

fn start_redis(dir: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(dir);
    command.args(["--port", &port.to_string()]);
    let mut process = Process::start(command, dir.join("redis.log"))?;
    until_answering(&mut process, |ping| {
        ping.args(["redis-cli", "-p", &port.to_string(), "ping"]);
    })?;
    Ok(process)
}

/// Starts a new cluster, without durability.
fn start_postgres(dir: &Path, port: u16) -> Result<Process> {
    let programs = postgres_programs().context("there is no PostgreSQL")?;
    let user = server_user()?;
    let data = dir.join("data");
    if let Some(user) = &user {
        chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    let command = |name: &str| {
        let mut command = Command::new(programs.join(name));
        command.current_dir(dir);
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    };
    let mut initdb = command("initdb");
    initdb.args(["-U", DATABASE_USER, "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]).arg(&data);
    succeed(&mut initdb)?;
    let mut server = command("postgres");
    server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
    for setting in ["unix_socket_directories=", "fsync=off", "synchronous_commit=off"] {
        server.args(["-c", setting]);
    }
    let mut process = Process::start(server, dir.join("postgres.log"))?;
    let port = port.to_string();
    until_answering(&mut process, |ready| {
        ready.arg(programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]);
    })?;
    // There are as many branches as clients, so that they do not wait for each other's locks.
    let mut fill = command("pgbench");
    fill.args(["-i", "-q", "-I", "dtGvp", "-s", "20", "-h", "127.0.0.1", "-U", DATABASE_USER]);
    succeed(fill.args(["-p", &port, "postgres"]))?;
    Ok(process)
}

/// The user for the server, if this is root, as which `PostgreSQL` refuses to run: the one that its package creates.
fn server_user() -> Result<Option<User>> {
    if !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").context("look up the user postgres")?;
    Ok(Some(user.context("PostgreSQL does not run as root, and there is no user postgres")?))
}

/// Waits until the command that `asks` sets up succeeds.
fn until_answering(process: &mut Process, asks: impl Fn(&mut Command)) -> Result<()> {
    let limit = Instant::now() + Duration::from_secs(20);
    while Instant::now() < limit && !process.has_ended() {
        let mut ask = Command::new("env");
        asks(&mut ask);
        if ask.output()?.status.success() {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    bail!("it does not answer: {}", process.last_words());
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("start {}", name.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {}", name.display(), said.trim().escape_debug());
    Ok(())
}

/// The directory of its programs: Debian keeps the server's off the PATH.
fn postgres_programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let path = on_path("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned));
    let complete = |dir: &PathBuf| PROGRAMS.iter().all(|name| dir.join(name).is_file());
    versions.chain(path).filter(complete).max()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pgbench", "pg_isready"];
/// The superuser of the database.
pub(crate) const DATABASE_USER: &str = "versus";
