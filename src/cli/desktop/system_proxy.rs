//! `sockeye system-proxy`: sets the proxy of the desktop, and restores the previous settings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use super::ProxyArgs;
use super::settings::{Desktop, Setting};
use crate::cli::configured::{FileError, say, shown};
use crate::destination::Destination;
use crate::file;

/// The action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Act {
    /// Use the proxy.
    On,
    /// Restore the previous settings.
    Off,
    /// Show whether the proxy is used.
    Status,
}

/// The previous settings of a desktop.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    desktop: Desktop,
    settings: Vec<Setting>,
}

/// Why the settings were not changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SystemProxyError {
    /// The configuration names no proxy.
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "no settings of GNOME or KDE can be reached from here; a service of the system has none"
    )]
    NoDesktop,
    #[error("no home directory to remember the settings in")]
    Homeless,
    #[error("cannot save or read the previous settings in {}: {cause}", shown(.path))]
    Memory { path: PathBuf, cause: io::Error },
    #[error("{desktop} does not take the settings: {cause}")]
    Refused { desktop: &'static str, cause: io::Error },
}

/// `sockeye system-proxy`.
#[derive(Clone, Debug, Parser)]
#[command(about = "Sets the proxy of the desktop (GNOME, KDE), or restores the previous settings.")]
pub struct SystemProxyCommand {
    /// on, off or status
    #[arg(value_name = "on|off|status", value_enum, hide_possible_values = true)]
    act: Act,

    #[command(flatten)]
    proxy: ProxyArgs,
}

impl SystemProxyCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// There is no desktop, or it refuses.
    pub(in crate::cli) async fn run(&self) -> Result<(), SystemProxyError> {
        match self.act {
            Act::On => turn_on(&self.proxy.find().await?),
            Act::Off => turn_off(),
            Act::Status => tell(&self.proxy.find().await?),
        }
    }
}

/// All available desktops, since programs of one may read the settings of another.
fn desktops() -> Result<Vec<Desktop>, SystemProxyError> {
    let found: Vec<_> = Desktop::ALL.into_iter().filter(|desktop| desktop.is_there()).collect();
    if found.is_empty() { Err(SystemProxyError::NoDesktop) } else { Ok(found) }
}

fn refused(desktop: Desktop) -> impl Fn(io::Error) -> SystemProxyError {
    move |cause| SystemProxyError::Refused { desktop: desktop.name(), cause }
}

fn turn_on(proxy: &Destination) -> Result<(), SystemProxyError> {
    let desktops = desktops()?;
    let memory = memory()?;
    // Turned on twice, the settings from before the first time are kept.
    if !memory.exists() {
        let mut before = Vec::new();
        for desktop in &desktops {
            let settings = desktop.now(&desktop.wanted(proxy)).map_err(refused(*desktop))?;
            before.push(Before { desktop: *desktop, settings });
        }
        remember(&memory, &before)
            .map_err(|cause| SystemProxyError::Memory { path: memory.clone(), cause })?;
    }
    for desktop in desktops {
        desktop.apply(&desktop.wanted(proxy)).map_err(refused(desktop))?;
        say(&format!("{}: uses {proxy}\n", desktop.name()));
    }
    Ok(())
}

fn turn_off() -> Result<(), SystemProxyError> {
    let memory = memory()?;
    let fail = |cause| SystemProxyError::Memory { path: memory.clone(), cause };
    let text = match fs::read_to_string(&memory) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say("the proxy was not on\n");
            return Ok(());
        }
        Err(error) => return Err(fail(error)),
    };
    let before: Vec<Before> = serde_json::from_str(&text).map_err(|error| fail(error.into()))?;
    for Before { desktop, settings } in before {
        // In reverse: the mode was set last.
        let settings: Vec<_> = settings.into_iter().rev().collect();
        desktop.apply(&settings).map_err(refused(desktop))?;
        say(&format!("{}: restored\n", desktop.name()));
    }
    fs::remove_file(&memory).map_err(fail)
}

fn tell(proxy: &Destination) -> Result<(), SystemProxyError> {
    for desktop in desktops()? {
        let wanted = desktop.wanted(proxy);
        let on = desktop.now(&wanted).map_err(refused(desktop))? == wanted;
        let state = if on { format!("uses {proxy}") } else { format!("does not use {proxy}") };
        say(&format!("{}: {state}\n", desktop.name()));
    }
    Ok(())
}

/// The file of the previous settings.
fn memory() -> Result<PathBuf, SystemProxyError> {
    let state = file::xdg_directory("XDG_STATE_HOME", ".local/state");
    Ok(state.ok_or(SystemProxyError::Homeless)?.join("system-proxy.json"))
}

/// Saves the previous settings, atomically.
fn remember(path: &Path, before: &[Before]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, before)?;
    file.persist(path)?;
    Ok(())
}
