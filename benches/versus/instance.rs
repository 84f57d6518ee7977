//! A running peer: its process and its port.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bed::{Bed, Way, user};
use crate::client::{ClosesFirst, Road, free_port};
use crate::database::Database;
use crate::peer::{Peer, Program};
use crate::process::Process;

/// A process of a peer, killed on drop.
#[derive(Debug)]
pub(crate) struct Instance {
    process: Process,
    road: Road,
    /// The forwards to the databases.
    forwards: Vec<Forward>,
}

/// A static forward to a database.
#[derive(Debug)]
struct Forward {
    to: Database,
    at: SocketAddr,
    /// The address of the database, as seen from the SSH server.
    target: SocketAddr,
}

impl Instance {
    /// Starts the process without waiting for anything. Every peer gets a port that is chosen here,
    /// so that all are waited for in the same way.
    pub(crate) fn launch(peer: &Peer, bed: &Bed, way: Way) -> Result<Self> {
        let port = free_port().context("find a free port")?;
        let forwards = forwards(bed, way)?;
        let command = command(peer, bed, way, port, &forwards)?;
        let process = Process::start(command, bed.file(&format!("{port}.log")))?;
        let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { process, road: Road { proxy, target: bed.target().address() }, forwards })
    }

    /// Does the same as [`launch`](Self::launch), and waits for a first served request.
    pub(crate) async fn start(peer: &Peer, bed: &Bed, way: Way) -> Result<Self> {
        let mut instance = Self::launch(peer, bed, way)?;
        instance.first_request().await.with_context(|| format!("start {}", peer.name))?;
        Ok(instance)
    }

    /// Sends requests until one is served.
    pub(crate) async fn first_request(&mut self) -> Result<()> {
        let limit = Instant::now() + START_LIMIT;
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        while Instant::now() < limit {
            match self.road.short_within(REQUEST_LIMIT, ClosesFirst::Client).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
            if self.has_ended() {
                bail!("it ended: {}", self.process.last_words());
            }
            sleep(Duration::from_millis(1)).await;
        }
        bail!("no request was served: {last}; {}", self.process.last_words());
    }

    pub(crate) fn road(&self) -> Road {
        self.road
    }

    /// The address of the forward to a database; `None` if the database is not running.
    pub(crate) fn forward(&self, to: Database) -> Option<SocketAddr> {
        self.forwards.iter().find(|forward| forward.to == to).map(|forward| forward.at)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }
}

/// A forward to each running database; none over a line.
fn forwards(bed: &Bed, way: Way) -> Result<Vec<Forward>> {
    let databases = bed.databases().filter(|_| way == Way::Near);
    let forward = |(to, target)| {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        Ok(Forward { to, at, target })
    };
    databases.map(forward).collect()
}

fn command(peer: &Peer, bed: &Bed, way: Way, port: u16, forwards: &[Forward]) -> Result<Command> {
    let like_ssh = |command: &mut Command| {
        command.arg("-F").arg(bed.ssh_config());
        for Forward { at, target, .. } in forwards {
            command.args(["-L", &format!("{at}:{target}")]);
        }
        command.args(["-D", &format!("127.0.0.1:{port}"), way.host()]);
    };
    let mut command;
    match &peer.program {
        Program::Ssh => {
            command = Command::new("ssh");
            like_ssh(command.arg("-N"));
        }
        Program::Sockeye { binary, arguments } => {
            command = Command::new(binary);
            like_ssh(command.args(arguments));
        }
        Program::SingBox { binary } => {
            let file = bed.file(&format!("{port}.json"));
            fs::write(&file, sing_box_config(bed, way, port, forwards)?)?;
            command = Command::new(binary);
            command.args(["run", "-c"]).arg(file);
        }
    }
    command.env_remove("SSH_AUTH_SOCK");
    // What a peer remembers about a line stays with the peer, and is deleted with the bed.
    command.env("XDG_STATE_HOME", bed.file(&format!("state of {}", peer.name)));
    Ok(command)
}

fn sing_box_config(bed: &Bed, way: Way, port: u16, forwards: &[Forward]) -> Result<String> {
    let socks = json!({ "type": "socks", "listen": "127.0.0.1", "listen_port": port });
    let direct = forwards.iter().map(|Forward { at, target, .. }| {
        json!({
            "type": "direct",
            "listen": "127.0.0.1",
            "listen_port": at.port(),
            "network": "tcp",
            "override_address": "127.0.0.1",
            "override_port": target.port(),
        })
    });
    let inbounds: Vec<_> = std::iter::once(socks).chain(direct).collect();
    let server = bed.address(way);
    let config = json!({
        "log": { "level": "error" },
        "inbounds": inbounds,
        "outbounds": [{
            "type": "ssh",
            "server": server.ip(),
            "server_port": server.port(),
            "user": user()?,
            "private_key_path": bed.identity(),
            "host_key": [bed.host_key()?],
        }],
    });
    Ok(config.to_string())
}

/// The time limit for a peer's first answer.
const START_LIMIT: Duration = Duration::from_secs(15);
/// The time limit for each request until then.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
