//! `sockeye init`: the example configuration.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Parser;

use crate::config;

use super::configured::{cannot_write, say, shown};

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Writes a commented example configuration.",
    after_help = "An existing file is not overwritten."
)]
pub struct InitCommand {
    /// The file to write [default: ~/.config/sockeye/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print it instead
    #[arg(long)]
    print: bool,
}

impl InitCommand {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        if self.print {
            say(EXAMPLE);
            return Ok(());
        }
        let file = self.config.clone().or_else(config::default_path);
        let file = file.context("no home directory: name a file with --config FILE")?;
        match write(&file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{} exists already; --print shows the example", shown(&file))
            }
            written => written.with_context(|| cannot_write(&file))?,
        }
        say(&format!("{}: written; change [server.bastion] first\n", shown(&file)));
        Ok(())
    }
}

/// Creates the file, with mode 0600; a directory that is created for it has mode 0700.
fn write(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut directory = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        directory.recursive(true).create(parent)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(EXAMPLE.as_bytes()).inspect_err(|_| {
        // Half an example would be in the way of the next attempt.
        let _ = fs::remove_file(path);
    })
}

/// The example.
const EXAMPLE: &str = include_str!("init/example.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mistake};

    fn load(path: &Path) -> (Config, Vec<Mistake>) {
        Config::load(path, None, &mut ()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    }

    #[test]
    fn it_is_written_once_and_is_valid() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("new/config.toml");
        let command = InitCommand { config: Some(file.clone()), print: false };
        command.run().expect("written");
        let (config, warnings) = load(&file);
        assert_eq!(warnings, []);
        // Without rules, everything goes over the server.
        assert_eq!(
            (config.listeners.len(), config.servers.len(), config.router.rules().len()),
            (1, 1, 0)
        );
        fs::write(&file, "mine").expect("a file");
        let told = command.run().expect_err("it is there").to_string();
        assert!(told.contains("exists already"), "{told}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    }

    #[test]
    fn the_commented_examples_are_valid_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config.toml");
        let is_example =
            |line: &&str| line.starts_with('#') && !matches!(line.get(..2), Some("# " | "#"));
        let examples = EXAMPLE.lines().filter(is_example).count();
        assert!(examples > 30, "{examples} lines");
        let all = |line| if is_example(&line) { &line[1..] } else { line };
        let text: Vec<_> = EXAMPLE.lines().map(all).collect();
        fs::write(&file, text.join("\n")).expect("a file");
        fs::write(directory.path().join("blocked.txt"), "||ads.example^\n").expect("a file");
        let clients = directory.path().join("clients");
        fs::write(&clients, "me:a password\n").expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&clients, mode).expect("ours");
        let (config, _) = load(&file);
        assert_eq!((config.listeners.len(), config.servers.len()), (2, 2));
        assert_eq!((config.router.rules().len(), config.forwards.len()), (3, 2));
        assert!(config.backlog.is_some());
    }
}
