//! `sockeye system-proxy`: sets the proxy of the desktop, and restores the previous settings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use super::ProxyArgs;
use super::settings::{Desktop, Setting};
use crate::cli::configured::{say, shown};
use crate::destination::Destination;
use crate::file;

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
    pub(in crate::cli) async fn run(&self) -> anyhow::Result<()> {
        match self.act {
            Act::On => turn_on(&self.proxy.find().await?),
            Act::Off => turn_off(),
            Act::Status => show(&self.proxy.find().await?),
        }
    }
}

/// All available desktops, since programs may read the settings of another desktop than their own.
fn desktops() -> anyhow::Result<Vec<Desktop>> {
    let all = Desktop::VARIANTS.iter().copied();
    let found: Vec<_> = all.filter(|desktop| desktop.is_there()).collect();
    ensure!(
        !found.is_empty(),
        "no settings of GNOME or KDE can be reached from here; a service of the system has none"
    );
    Ok(found)
}

fn refused(desktop: Desktop) -> impl Fn() -> String {
    move || format!("{desktop} does not take the settings")
}

fn turn_on(proxy: &Destination) -> anyhow::Result<()> {
    let desktops = desktops()?;
    let memory = memory()?;
    let mut before = Vec::new();
    // If it is turned on twice, the settings from before the first time are kept.
    if !memory.exists() {
        for desktop in &desktops {
            let settings = desktop.now(&desktop.wanted(proxy)).with_context(refused(*desktop))?;
            before.push(Before { desktop: *desktop, settings });
        }
        remember(&memory, &before).with_context(|| forgetful(&memory))?;
    }
    let mut lost = Vec::new();
    for desktop in desktops {
        let wanted = desktop.wanted(proxy);
        desktop.apply(&wanted).with_context(refused(desktop))?;
        if desktop.now(&wanted).with_context(refused(desktop))? == wanted {
            say(&format!("{desktop}: uses {proxy}\n"));
        } else {
            lost.push(desktop);
        }
    }
    let Some(first) = lost.first() else { return Ok(()) };
    if !before.is_empty() {
        // These values are not the user's if the desktop does not store its settings.
        before.retain(|before| !lost.contains(&before.desktop));
        let done = match before.as_slice() {
            [] => fs::remove_file(&memory),
            kept => remember(&memory, kept),
        };
        done.with_context(|| forgetful(&memory))?;
    }
    bail!("{first} does not keep the settings; is there a desktop session?")
}

fn turn_off() -> anyhow::Result<()> {
    let memory = memory()?;
    let forgetful = || forgetful(&memory);
    let text = match fs::read_to_string(&memory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say("the proxy was not on\n");
            return Ok(());
        }
        text => text.with_context(forgetful)?,
    };
    let before: Vec<Before> = serde_json::from_str(&text).with_context(forgetful)?;
    for Before { desktop, settings } in before {
        // The settings are restored in reverse, because the mode was set last.
        let settings: Vec<_> = settings.into_iter().rev().collect();
        desktop.apply(&settings).with_context(refused(desktop))?;
        say(&format!("{desktop}: restored\n"));
    }
    fs::remove_file(&memory).with_context(forgetful)
}

fn show(proxy: &Destination) -> anyhow::Result<()> {
    for desktop in desktops()? {
        let wanted = desktop.wanted(proxy);
        let on = desktop.now(&wanted).with_context(refused(desktop))? == wanted;
        let state = if on { format!("uses {proxy}") } else { format!("does not use {proxy}") };
        say(&format!("{desktop}: {state}\n"));
    }
    Ok(())
}

/// The file of the previous settings.
fn memory() -> anyhow::Result<PathBuf> {
    let state = file::xdg_directory("XDG_STATE_HOME", ".local/state");
    let state = state.context("no home directory to remember the settings in")?;
    Ok(state.join("system-proxy.json"))
}

fn forgetful(memory: &Path) -> String {
    format!("cannot save or read the previous settings in {}", shown(memory))
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
