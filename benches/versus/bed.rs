//! The one test bed that all peers share: `sshd`, the target, the link, and the files that lead a
//! client there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::link::Link;
use crate::sshd::Sshd;
use crate::target::Target;

/// How a peer reaches the SSH server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Over loopback.
    Near,
    /// Over the link, with a round trip of 100 ms.
    Far,
}

impl Way {
    /// The name of the server in our `ssh_config`.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

/// What every peer finds when it starts. All of it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Bed {
    // In the order in which they end: the link before the server behind it, the files at last.
    link: Link,
    sshd: Sshd,
    target: Target,
    dir: TempDir,
}

impl Bed {
    /// Starts the servers and writes the files.
    pub(crate) async fn start(sshd: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let sshd = Sshd::start(sshd, dir.path())?;
        let target = Target::start().await.context("start the target")?;
        let link = Link::start(sshd.address(), HALF_ROUND_TRIP).context("start the link")?;
        let bed = Self { link, sshd, target, dir };
        bed.write_known_hosts()?;
        bed.write_ssh_config()?;
        Ok(bed)
    }

    pub(crate) fn sshd(&self) -> &Sshd {
        &self.sshd
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// A file in the bed's own directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.file("ssh_config")
    }

    /// The private key that the server accepts.
    pub(crate) fn identity(&self) -> PathBuf {
        self.file("id")
    }

    /// The server's public key, as in `authorized_keys`.
    pub(crate) fn host_key(&self) -> Result<String> {
        Ok(fs::read_to_string(self.file("host.pub"))?.trim().to_owned())
    }

    /// The port of the SSH server, or of the link to it.
    pub(crate) fn port(&self, way: Way) -> u16 {
        match way {
            Way::Near => self.sshd.address().port(),
            Way::Far => self.link.address().port(),
        }
    }

    fn write_known_hosts(&self) -> Result<()> {
        let key = self.host_key()?;
        let line = |way| format!("[127.0.0.1]:{} {key}\n", self.port(way));
        fs::write(self.file("known_hosts"), line(Way::Near) + &line(Way::Far))?;
        Ok(())
    }

    /// Where to go and with which keys; everything else is the client's default.
    fn write_ssh_config(&self) -> Result<()> {
        let host = |way: Way| {
            format!("Host {}\n  HostName 127.0.0.1\n  Port {}\n", way.host(), self.port(way))
        };
        let all = format!(
            "Host *\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n",
            user()?,
            self.identity().display(),
            self.file("known_hosts").display(),
        );
        fs::write(self.ssh_config(), host(Way::Near) + &host(Way::Far) + &all)?;
        Ok(())
    }
}

/// The name of the user who runs this: `sshd` lets nobody else in when it is not root's.
pub(crate) fn user() -> Result<String> {
    let output = std::process::Command::new("id").arg("-un").output().context("start id")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What the link adds each way.
const HALF_ROUND_TRIP: Duration = Duration::from_millis(50);
