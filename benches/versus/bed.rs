//! The one test bed that all peers share: `sshd`, the target, the lines, and the files that lead a
//! client there.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::database::{Database, Running};
use crate::line::{Quality, Stalls};
use crate::link::Link;
use crate::sshd::Sshd;
use crate::target::Target;

/// How a peer reaches the SSH server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Over loopback.
    Near,
    /// Over a line.
    Over(Profile),
}

/// A kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Profile {
    /// 10 Mbit/s down, 2 up, a round trip of 50 ms.
    Adsl,
    /// 50 Mbit/s down, 5 up, a round trip of 30 ms.
    Cable,
    /// 20 Mbit/s down, 5 up, a round trip of 80 ms, and stalls.
    Lte,
    /// 300 Mbit/s down, 100 up, a round trip of 15 ms.
    Fibre,
    /// A round trip of 100 ms, and as fast as this machine.
    Far,
}

impl Way {
    /// The name of the server in our `ssh_config`.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Over(profile) => profile.name(),
        }
    }
}

impl Profile {
    pub(crate) const ALL: [Self; 5] = [Self::Adsl, Self::Cable, Self::Lte, Self::Fibre, Self::Far];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Adsl => "adsl",
            Self::Cable => "cable",
            Self::Lte => "lte",
            Self::Fibre => "fibre",
            Self::Far => "far",
        }
    }

    /// Upwards and downwards.
    fn qualities(self) -> (Quality, Quality) {
        let (down, up, round_trip) = match self {
            Self::Adsl => (10, 2, 50),
            Self::Cable => (50, 5, 30),
            Self::Lte => (20, 5, 80),
            Self::Fibre => (300, 100, 15),
            Self::Far => (0, 0, 100),
        };
        let delay = Duration::from_millis(round_trip) / 2;
        let stalls = if self == Self::Lte { Stalls::Mobile } else { Stalls::Never };
        let quality = |megabits: u32| Quality { delay, rate: megabits * 125_000, stalls };
        (quality(up), quality(down))
    }
}

/// What every peer finds when it starts. All of it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Bed {
    // In the order in which they end: the lines before the server behind them, the files at last.
    lines: Vec<(Profile, Link)>,
    sshd: Sshd,
    target: Target,
    databases: Vec<(Database, Running)>,
    dir: TempDir,
}

impl Bed {
    /// Starts the servers, these databases among them, and writes the files.
    pub(crate) async fn start(sshd: &Path, databases: &[Database]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let sshd = Sshd::start(sshd, dir.path())?;
        let target = Target::start().await.context("start the target")?;
        let mut lines = Vec::new();
        for profile in Profile::ALL {
            let (up, down) = profile.qualities();
            let link = Link::start(sshd.address(), up, down).context("start a line")?;
            lines.push((profile, link));
        }
        let databases = databases.iter().map(|database| {
            let running = database.start().with_context(|| format!("start {database:?}"))?;
            Ok((*database, running))
        });
        let databases = databases.collect::<Result<_>>()?;
        let bed = Self { lines, sshd, target, databases, dir };
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

    /// Each database that runs, and where.
    pub(crate) fn databases(&self) -> impl Iterator<Item = (Database, SocketAddr)> {
        self.databases.iter().map(|(database, running)| (*database, running.address()))
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

    /// The port of the SSH server, or of the line to it.
    pub(crate) fn port(&self, way: Way) -> u16 {
        let over = |profile| self.lines.iter().find(|(of, _)| *of == profile);
        let address = match way {
            Way::Near => self.sshd.address(),
            Way::Over(profile) => over(profile).expect("there is one of each").1.address(),
        };
        address.port()
    }

    /// Whether nothing waits to pass a line.
    pub(crate) fn lines_are_empty(&self) -> bool {
        self.lines.iter().all(|(_, link)| link.is_empty())
    }

    /// The server itself, and each line to it.
    fn ways() -> impl Iterator<Item = Way> {
        std::iter::once(Way::Near).chain(Profile::ALL.map(Way::Over))
    }

    fn write_known_hosts(&self) -> Result<()> {
        let key = self.host_key()?;
        let line = |way| format!("[127.0.0.1]:{} {key}\n", self.port(way));
        fs::write(self.file("known_hosts"), Self::ways().map(line).collect::<String>())?;
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
        fs::write(self.ssh_config(), Self::ways().map(host).collect::<String>() + &all)?;
        Ok(())
    }
}

/// The name of the user who runs this: `sshd` lets nobody else in when it is not root's.
pub(crate) fn user() -> Result<String> {
    let output = std::process::Command::new("id").arg("-un").output().context("start id")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
