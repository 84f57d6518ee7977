//! `sockeye service`: the service file that starts the proxy at login or boot.

mod launchd;
mod systemd;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use nix::unistd::User;
use rustix::process::geteuid;

use crate::config::Config;
use crate::forward::{ListenAddress, LocalListen};

use super::configured::{ConfigFile, cannot_write, say, shown};
use crate::file;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Act {
    /// Print the service file.
    Print,
    /// Write it where the service manager looks for it.
    Install,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Manager {
    /// systemd.
    Systemd,
    /// launchd, of macOS.
    Launchd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// A service of the user, from login on.
    User,
    /// A service of the machine, from boot on.
    System,
}

#[derive(Clone, Debug)]
struct Service {
    name: String,
    scope: Scope,
    /// The path of this program.
    program: PathBuf,
    config: PathBuf,
    /// The socket of this process's ssh-agent.
    agent: Option<PathBuf>,
    /// The user that a service of the machine runs as.
    user: String,
    user_id: u32,
    /// That user's home directory.
    home: PathBuf,
    /// The directory of this user's configuration files.
    configurations: PathBuf,
    /// The directories of the unix sockets in the configuration, which must be writable.
    writes: Vec<PathBuf>,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints or installs a service file that starts the proxy at login or boot.",
    after_help = "It starts nothing; it prints the commands for that. See `sockeye help service`."
)]
pub struct ServiceCommand {
    /// print or install
    #[arg(value_name = "print|install", value_enum, hide_possible_values = true)]
    act: Act,

    /// Run as a service of this user, from login on (default)
    #[arg(long, overrides_with = "system")]
    user: bool,

    /// Run as a service of the machine, from boot on
    #[arg(long, overrides_with = "user")]
    system: bool,

    /// The service manager [default: the one of this system]
    #[arg(long, value_name = "systemd|launchd", value_enum, hide_possible_values = true)]
    manager: Option<Manager>,

    /// Name of the service
    #[arg(long, value_name = "NAME", default_value = "sockeye", value_parser = name)]
    name: String,

    #[command(flatten)]
    file: ConfigFile,
}

/// Checks that a name can be a file name.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a name is made of letters, digits, - and _".to_owned())
    }
}

impl ServiceCommand {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let config = self.file().load().await?;
        let service = Service::here(self, &config)?;
        let here = if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd };
        let (text, path, next) = match self.manager.unwrap_or(here) {
            Manager::Systemd => (
                systemd::unit(&service, systemd::version()),
                systemd::path(&service),
                systemd::next(&service),
            ),
            Manager::Launchd => {
                (launchd::plist(&service), launchd::path(&service), launchd::next(&service))
            }
        };
        match self.act {
            Act::Print => say(&text),
            Act::Install => {
                install(&path, &text)?;
                say(&format!(
                    "{}: written. To start it now and at each login or boot:\n{next}",
                    shown(&path)
                ));
            }
        }
        Ok(())
    }

    /// The configuration file; by default that of the user of the service.
    fn file(&self) -> ConfigFile {
        let of_user = || {
            let user = sudo_user().filter(|_| self.system)?;
            Some(user.dir.join(".config/sockeye/config.toml")).filter(|file| file.exists())
        };
        ConfigFile { named: self.file.named.clone().or_else(of_user) }
    }
}

/// The user who runs this under sudo, where HOME may be root's.
fn sudo_user() -> Option<User> {
    let name = std::env::var("SUDO_USER").ok()?;
    User::from_name(&name).ok().flatten()
}

impl Service {
    fn here(command: &ServiceCommand, config: &Config) -> anyhow::Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
        let user = user.unwrap_or_else(|_| "root".to_owned());
        let entry = User::from_name(&user).ok().flatten();
        let scope = if command.system { Scope::System } else { Scope::User };
        let user_id = entry.as_ref().map_or_else(|| geteuid().as_raw(), |entry| entry.uid.as_raw());
        let home = match (scope, entry) {
            (Scope::System, Some(entry)) => Some(entry.dir),
            _ => std::env::home_dir(),
        };
        let home = home.filter(|home| home.is_absolute()).context("no home directory")?;
        let mut writes: Vec<_> = sockets(config)
            .filter_map(|path| absolute(&path).parent().map(Path::to_owned))
            .collect();
        writes.sort();
        writes.dedup();
        Ok(Self {
            name: command.name.clone(),
            scope,
            program: std::env::current_exe().context("cannot tell where this program is")?,
            config: absolute(&config.file),
            agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            user,
            user_id,
            configurations: file::xdg_base("XDG_CONFIG_HOME", ".config")
                .unwrap_or_else(|| home.join(".config")),
            home,
            writes,
        })
    }
}

fn sockets(config: &Config) -> impl Iterator<Item = PathBuf> {
    let listeners = config.listeners.iter().filter_map(|listener| match &listener.address {
        ListenAddress::Unix(path) => Some(path.clone()),
        ListenAddress::Tcp { .. } => None,
    });
    let forwards = config.forwards.iter().filter_map(|forward| match forward {
        crate::config::ForwardConfig::Local { forward, .. } => match &forward.listen {
            LocalListen::Unix(path) => Some(path.clone()),
            LocalListen::Tcp { .. } => None,
        },
        crate::config::ForwardConfig::Remote { .. } => None,
    });
    listeners.chain(forwards)
}

/// Writes the file, unless there is one that this command has not written.
fn install(path: &Path, text: &str) -> anyhow::Result<()> {
    let cannot_write = || cannot_write(path);
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        before => ensure!(
            before.with_context(cannot_write)?.contains(MARK),
            "{} is there and was not written by this command; move it away first",
            shown(path)
        ),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(cannot_write)?;
    }
    file::replace(path, text).with_context(cannot_write)
}

/// The mark of files that this command writes.
const MARK: &str = "Written by `sockeye service`";
