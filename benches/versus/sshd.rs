//! The SSH server for all peers: the machine's own `sshd`, with a separate configuration and
//! separate keys.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::free_port;
use crate::process::{self, Process};

/// A running `sshd`; dropping it kills it and the processes of its connections.
#[derive(Debug)]
pub(crate) struct Sshd {
    process: Process,
    address: SocketAddr,
    version: String,
}

impl Sshd {
    /// The path of the machine's `sshd`, which must be started by its full path.
    pub(crate) fn find() -> Option<PathBuf> {
        let usual = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
        usual.iter().map(PathBuf::from).find(|path| path.exists())
    }

    /// Generates keys and a configuration in `dir`, starts the server and waits until it answers. It listens
    /// at `at`, on a port of its own.
    pub(crate) fn start(binary: &Path, dir: &Path, at: Ipv4Addr) -> Result<Self> {
        for key in ["host", "id"] {
            make_key(&dir.join(key))?;
        }
        if rustix::process::getuid().is_root() {
            // sshd's privilege separation needs this directory, which is otherwise created when the service starts.
            fs::create_dir_all("/run/sshd").context("create /run/sshd")?;
        }
        let listen = SocketAddr::from((at, free_port()?));
        let config = dir.join("sshd_config");
        write_config(binary, &config, dir, listen)?;
        let mut command = Command::new(binary);
        command.args(["-D", "-e", "-f"]).arg(&config);
        let mut process = Process::start(command, dir.join("sshd.log"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()));
        let version = first_banner(&mut process, address)?;
        Ok(Self { process, address, version })
    }

    /// The address, as seen from its own side of the lines.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its version, such as `OpenSSH_9.2p1`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The processes that serve its connections.
    pub(crate) fn children(&self) -> Vec<u32> {
        process::descendants(self.process.id())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // The listener goes with `process`; the others would live on until they notice. They are its
        // to reap.
        let limit = Instant::now() + Duration::from_secs(1);
        while Instant::now() < limit {
            let children = self.children();
            if children.is_empty() {
                return;
            }
            children.into_iter().for_each(process::kill);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn make_key(path: &Path) -> Result<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "versus", "-f"])
        .arg(path)
        .status()
        .context("start ssh-keygen")?;
    if !made.success() {
        bail!("ssh-keygen failed: {made}");
    }
    Ok(())
}

/// The server's defaults, except for those that would limit the load.
fn write_config(binary: &Path, config: &Path, dir: &Path, listen: SocketAddr) -> Result<()> {
    let lines = format!(
        "ListenAddress {listen}\nHostKey {host}\nAuthorizedKeysFile {id}.pub\n\
         PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nLogLevel ERROR\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nAllowTcpForwarding yes\n\
         MaxStartups 1000\nMaxSessions 1000\n",
        host = dir.join("host").display(),
        id = dir.join("id").display(),
    );
    // Only OpenSSH 9.8 and later know this keyword; older ones reject it.
    fs::write(config, format!("{lines}PerSourcePenalties no\n"))?;
    let known = Command::new(binary).arg("-t").arg("-f").arg(config).output()?;
    if !known.status.success() {
        fs::write(config, lines)?;
    }
    Ok(())
}

/// Waits for the version line of RFC 4253, section 4.2.
fn first_banner(process: &mut Process, address: SocketAddr) -> Result<String> {
    let limit = Instant::now() + Duration::from_secs(5);
    while Instant::now() < limit && !process.has_ended() {
        if let Ok(stream) = TcpStream::connect(address) {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut banner = String::new();
            BufReader::new(stream).read_line(&mut banner)?;
            return Ok(banner.trim().trim_start_matches("SSH-2.0-").escape_debug().to_string());
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("sshd does not answer: {}", process.last_words());
}
