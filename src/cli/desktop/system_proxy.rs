//! `sockeye system-proxy`: the proxy of the desktop, and what was there before.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory, Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use super::ProxyArgs;
use super::settings::{Desktop, Setting};
use crate::cli::configured::{FileError, parse, say, shown};
use crate::destination::Destination;

/// `sockeye system-proxy`, judged.
#[derive(Clone, Debug)]
pub struct SystemProxyCommand {
    act: Act,
    proxy: ProxyArgs,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Act {
    /// The desktop uses the proxy.
    On,
    /// It uses what it used before.
    Off,
    /// What it uses is told.
    Status,
}

/// What a desktop had before.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    desktop: Desktop,
    settings: Vec<Setting>,
}

/// Why the desktop stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum SystemProxyError {
    /// The configuration names no proxy.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither of the known desktops is there.
    #[error(
        "no settings of GNOME or KDE can be reached from here; a service of the system has none"
    )]
    NoDesktop,
    /// There is no place to remember what was there.
    #[error("no home directory to remember the settings in")]
    Homeless,
    /// What was there before cannot be remembered, or is not to be read.
    #[error("cannot keep what was there before in {}: {cause}", shown(.path))]
    Memory {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A desktop does not take it.
    #[error("{desktop} does not take the settings: {cause}")]
    Refused {
        /// Its name.
        desktop: &'static str,
        /// What its program says.
        cause: io::Error,
    },
}

/// The flags of `sockeye system-proxy`, as they were written.
#[derive(Debug, Parser)]
#[command(
    name = "sockeye system-proxy",
    bin_name = "sockeye system-proxy",
    about = "Sets the proxy of the desktop (GNOME, KDE), or restores the previous settings.",
    help_template = "{about}\n\nUsage: {usage}\n\n{all-args}{after-help}",
    after_help = "A server whose name is `system-proxy` is `sockeye ssh://system-proxy`.\n",
    disable_help_flag = true,
    args_override_self = true
)]
struct SystemProxyArgs {
    /// on, off or status
    #[arg(value_name = "on|off|status", value_enum, hide_possible_values = true)]
    act: Act,

    #[command(flatten)]
    proxy: ProxyArgs,

    #[arg(short = 'h', long, help = "Show this help", action = ArgAction::Help)]
    help: (),
}

impl SystemProxyCommand {
    pub(in crate::cli) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: SystemProxyArgs = parse("sockeye system-proxy", words)?;
        Ok(Self { act: args.act, proxy: args.proxy })
    }

    pub(in crate::cli) fn definition() -> clap::Command {
        SystemProxyArgs::command()
    }

    /// Does it.
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

/// All desktops that are there, not the first alone: programs of one read the settings of another.
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
    // Turned on twice, what was there before the first time is what counts.
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
            say("it was not on\n");
            return Ok(());
        }
        Err(error) => return Err(fail(error)),
    };
    let before: Vec<Before> = serde_json::from_str(&text).map_err(|error| fail(error.into()))?;
    for Before { desktop, settings } in before {
        // The mode first: it is the last that was set.
        let settings: Vec<_> = settings.into_iter().rev().collect();
        desktop.apply(&settings).map_err(refused(desktop))?;
        say(&format!("{}: as it was before\n", desktop.name()));
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

/// Where what was there before is kept, past a crash and a new start.
fn memory() -> Result<PathBuf, SystemProxyError> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Ok(state.ok_or(SystemProxyError::Homeless)?.join("sockeye/system-proxy.json"))
}

/// Written whole or not at all.
fn remember(path: &Path, before: &[Before]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, before)?;
    file.persist(path)?;
    Ok(())
}
