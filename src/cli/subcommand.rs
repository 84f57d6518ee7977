//! The subcommands, in one table: how each is read, and the definition that its help, the completions
//! and the manual page come from.

use std::ffi::OsString;

use clap::CommandFactory;

use super::args::{Args, DemoArgs};
use super::check::CheckCommand;
use super::command::{Command, DemoCommand};
use super::completions::CompletionsCommand;
use super::configured::definition;
use super::desktop::{BrowserCommand, EnvCommand, SystemProxyCommand};
use super::errand::Errand;
use super::exit::Exit;
use super::explain::ExplainCommand;
use super::help::HelpCommand;
use super::init::InitCommand;
use super::man::ManCommand;
use super::operate::OperateCommand;
use super::operate::args::{
    ConnectionsArgs, DashboardArgs, ForwardArgs, KillArgs, LogArgs, PingArgs, ReloadArgs,
    StatusArgs, StopArgs, TopArgs, WaitArgs,
};
use super::pac::PacCommand;
use super::service::ServiceCommand;

/// A subcommand.
pub(super) struct Subcommand {
    /// Its name. A server of that name is written `ssh://NAME`.
    pub(super) name: &'static str,
    /// Parses the words after it.
    pub(super) read: fn(&[OsString]) -> Result<Command, Exit>,
    /// The definition of its command line.
    pub(super) definition: fn() -> clap::Command,
}

/// All of them, in the order in which they are listed.
pub(super) const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "check",
        read: |words| Ok(Command::Check(CheckCommand::read(words)?)),
        definition: CheckCommand::definition,
    },
    Subcommand {
        name: "explain",
        read: |words| Ok(Command::Explain(ExplainCommand::read(words)?)),
        definition: ExplainCommand::definition,
    },
    Subcommand {
        name: "pac",
        read: |words| Ok(Command::Pac(PacCommand::read(words)?)),
        definition: PacCommand::definition,
    },
    Subcommand {
        name: "demo",
        read: |words| Ok(Command::Demo(DemoCommand::validate(&DemoArgs::read(words)?)?)),
        definition: DemoArgs::command,
    },
    Subcommand {
        name: "status",
        read: |words| OperateCommand::read("status", words),
        definition: || definition::<StatusArgs>("status"),
    },
    Subcommand {
        name: "wait",
        read: |words| OperateCommand::read("wait", words),
        definition: || definition::<WaitArgs>("wait"),
    },
    Subcommand {
        name: "ping",
        read: |words| OperateCommand::read("ping", words),
        definition: || definition::<PingArgs>("ping"),
    },
    Subcommand {
        name: "top",
        read: |words| OperateCommand::read("top", words),
        definition: || definition::<TopArgs>("top"),
    },
    Subcommand {
        name: "connections",
        read: |words| OperateCommand::read("connections", words),
        definition: || definition::<ConnectionsArgs>("connections"),
    },
    Subcommand {
        name: "kill",
        read: |words| OperateCommand::read("kill", words),
        definition: || definition::<KillArgs>("kill"),
    },
    Subcommand {
        name: "forward",
        read: |words| OperateCommand::read("forward", words),
        definition: || definition::<ForwardArgs>("forward"),
    },
    Subcommand {
        name: "dashboard",
        read: |words| OperateCommand::read("dashboard", words),
        definition: || definition::<DashboardArgs>("dashboard"),
    },
    Subcommand {
        name: "reload",
        read: |words| OperateCommand::read("reload", words),
        definition: || definition::<ReloadArgs>("reload"),
    },
    Subcommand {
        name: "stop",
        read: |words| OperateCommand::read("stop", words),
        definition: || definition::<StopArgs>("stop"),
    },
    Subcommand {
        name: "log",
        read: |words| OperateCommand::read("log", words),
        definition: || definition::<LogArgs>("log"),
    },
    Subcommand {
        name: "init",
        read: |words| Ok(Errand::Init(InitCommand::read(words)?).into()),
        definition: InitCommand::definition,
    },
    Subcommand {
        name: "env",
        read: |words| Ok(Errand::Env(EnvCommand::read(words)?).into()),
        definition: EnvCommand::definition,
    },
    Subcommand {
        name: "browser",
        read: |words| Ok(Errand::Browser(BrowserCommand::read(words)?).into()),
        definition: BrowserCommand::definition,
    },
    Subcommand {
        name: "system-proxy",
        read: |words| Ok(Errand::SystemProxy(SystemProxyCommand::read(words)?).into()),
        definition: SystemProxyCommand::definition,
    },
    Subcommand {
        name: "service",
        read: |words| Ok(Errand::Service(ServiceCommand::read(words)?).into()),
        definition: ServiceCommand::definition,
    },
    Subcommand {
        name: "help",
        read: |words| Ok(Errand::Help(HelpCommand::read(words)?).into()),
        definition: HelpCommand::definition,
    },
    Subcommand {
        name: "completions",
        read: |words| Ok(Errand::Completions(CompletionsCommand::read(words)?).into()),
        definition: CompletionsCommand::definition,
    },
    Subcommand {
        name: "man",
        read: |words| Ok(Errand::Man(ManCommand::read(words)?).into()),
        definition: ManCommand::definition,
    },
];

/// The subcommand of a name.
pub(super) fn find(word: &str) -> Option<&'static Subcommand> {
    SUBCOMMANDS.iter().find(|subcommand| subcommand.name == word)
}

/// The whole command line as one definition: the flags of the proxy, and the subcommands.
pub(super) fn whole() -> clap::Command {
    let proxy = Args::full_command().disable_help_subcommand(true);
    SUBCOMMANDS.iter().fold(proxy, |whole, Subcommand { name, definition, .. }| {
        whole.subcommand(definition().name(*name))
    })
}

/// The lines of a help page that list the subcommands.
pub(super) fn listing() -> String {
    let mut lines = vec!["Commands (each has --help):".to_owned()];
    for (n, Subcommand { name, .. }) in SUBCOMMANDS.iter().enumerate() {
        let word = if n + 1 < SUBCOMMANDS.len() { format!(" {name},") } else { format!(" {name}") };
        if lines.last().is_some_and(|line| line.len() + word.len() > WIDTH) {
            lines.push(" ".to_owned());
        }
        lines.last_mut().expect("there is one").push_str(&word);
    }
    lines.join("\n")
}

/// Characters of a line.
const WIDTH: usize = 98;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_a_definition_that_clap_takes() {
        whole().debug_assert();
    }

    #[test]
    fn each_has_its_help_and_the_way_to_a_server_of_its_name() {
        for Subcommand { name, read, .. } in SUBCOMMANDS {
            let Err(Exit::Help(text)) = read(&["--help".into()]) else { panic!("{name}: no help") };
            assert!(text.contains(&format!("Usage: sockeye {name}")), "{text}");
            assert!(text.contains(&format!("`sockeye ssh://{name}`")), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }

    #[test]
    fn all_are_listed() {
        let listing = listing();
        assert!(
            SUBCOMMANDS.iter().all(|subcommand| listing.contains(subcommand.name)),
            "{listing}"
        );
        assert!(listing.lines().all(|line| line.len() <= WIDTH), "{listing}");
    }
}
