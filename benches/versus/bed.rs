//! The test bed that all peers share: `sshd`, the target, the lines, and the files that direct
//! clients to them.
//!
//! The lines carry either streams, in user space on one machine, or packets: then the servers are
//! in a network namespace of their own, and everything else is in ours.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::database::{Database, Running};
use crate::line::{Quality, Stalls};
use crate::link::Link;
use crate::namespace::Namespace;
use crate::sshd::Sshd;
use crate::target::Target;
use crate::wire::{Traffic, Wire};

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
    /// The name of the server in the `ssh_config`.
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

    /// The round trip without queueing delay.
    pub(crate) fn round_trip(self) -> Duration {
        Duration::from_millis(match self {
            Self::Adsl => 50,
            Self::Cable => 30,
            Self::Lte => 80,
            Self::Fibre => 15,
            Self::Far => 100,
        })
    }

    /// The qualities upwards and downwards.
    fn qualities(self) -> (Quality, Quality) {
        let (down, up) = match self {
            Self::Adsl => (10, 2),
            Self::Cable => (50, 5),
            Self::Lte => (20, 5),
            Self::Fibre => (300, 100),
            Self::Far => (0, 0),
        };
        let delay = self.round_trip() / 2;
        let stalls = if self == Self::Lte { Stalls::Mobile } else { Stalls::Never };
        let quality = |megabits: u32| Quality { delay, rate: megabits * 125_000, stalls };
        (quality(up), quality(down))
    }
}

/// What the lines carry.
#[derive(Debug)]
pub(crate) enum Carried {
    Streams,
    /// Packets, to servers in this namespace.
    Packets(Namespace),
}

#[derive(Debug)]
enum Line {
    Link(Link),
    Wire(Wire),
}

/// Everything that a peer finds when it starts. All of it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Bed {
    // In drop order: the lines before the servers behind them, and the files last.
    lines: Vec<(Profile, Line)>,
    sshd: Sshd,
    target: Target,
    databases: Vec<(Database, Running)>,
    dir: TempDir,
}

impl Bed {
    /// Starts the servers, including these databases, and writes the files. The tasks of the target belong
    /// to the current runtime.
    pub(crate) fn start(sshd: &Path, databases: &[Database], carried: &Carried) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("versus-").tempdir()?;
        let (sshd, target) = start_servers(sshd, dir.path(), carried)?;
        let mut lines = Vec::new();
        for (number, profile) in (0..).zip(Profile::ALL) {
            let (up, down) = profile.qualities();
            let line = match carried {
                Carried::Streams => {
                    Link::start(sshd.address(), up, down).map(Line::Link).context("start a line")?
                }
                Carried::Packets(far) => {
                    Wire::start(number, far, up, down).map(Line::Wire).context("start a line")?
                }
            };
            lines.push((profile, line));
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

    /// The running databases, with their addresses.
    pub(crate) fn databases(&self) -> impl Iterator<Item = (Database, SocketAddr)> {
        self.databases.iter().map(|(database, running)| (*database, running.address()))
    }

    /// A file in the bed's directory.
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

    /// The address of the SSH server, or of the line to it.
    pub(crate) fn address(&self, way: Way) -> SocketAddr {
        let server = self.sshd.address();
        let Way::Over(profile) = way else { return server };
        let its_own = self.lines.iter().find(|(of, _)| *of == profile);
        match &its_own.expect("there is one of each").1 {
            Line::Link(link) => link.address(),
            Line::Wire(wire) => (wire.far_end(), server.port()).into(),
        }
    }

    /// Whether all queues of the lines are empty.
    pub(crate) fn lines_are_empty(&self) -> bool {
        self.lines.iter().all(|(_, line)| match line {
            Line::Link(link) => link.is_empty(),
            Line::Wire(wire) => wire.is_empty(),
        })
    }

    /// The packet loss of each line that carried any packets.
    pub(crate) fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        for (profile, line) in &self.lines {
            let Line::Wire(wire) = line else { continue };
            let [up, down] = wire.traffic();
            if up.packets() > FEW {
                let loss = |way: &Traffic| format!("{} of {}", way.dropped(), way.packets());
                losses.push(format!("{} {} up and {} down", profile.name(), loss(up), loss(down)));
            }
        }
        losses
    }

    /// The server itself, and every line to it.
    fn ways() -> impl Iterator<Item = Way> {
        std::iter::once(Way::Near).chain(Profile::ALL.map(Way::Over))
    }

    fn write_known_hosts(&self) -> Result<()> {
        let key = self.host_key()?;
        let line = |way| {
            let address = self.address(way);
            format!("[{}]:{} {key}\n", address.ip(), address.port())
        };
        fs::write(self.file("known_hosts"), Self::ways().map(line).collect::<String>())?;
        Ok(())
    }

    /// Addresses and keys; everything else is left to the client's defaults.
    fn write_ssh_config(&self) -> Result<()> {
        let host = |way: Way| {
            let (name, address) = (way.host(), self.address(way));
            format!("Host {name}\n  HostName {}\n  Port {}\n", address.ip(), address.port())
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

/// Starts the SSH server and the target, at the far end of the lines.
fn start_servers(sshd: &Path, dir: &Path, carried: &Carried) -> Result<(Sshd, Target)> {
    let runtime = Handle::current();
    let start = |at| {
        let _inside = runtime.enter();
        Ok((Sshd::start(sshd, dir, at)?, Target::start().context("start the target")?))
    };
    match carried {
        Carried::Streams => start(Ipv4Addr::LOCALHOST),
        Carried::Packets(far) => far.inside(|| start(Ipv4Addr::UNSPECIFIED)),
    }
}

/// The user who runs this: unless that is root, `sshd` admits nobody else.
pub(crate) fn user() -> Result<String> {
    let output = std::process::Command::new("id").arg("-un").output().context("start id")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The number of packets up to which a line counts as unused.
const FEW: u64 = 100;
