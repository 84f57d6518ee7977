//! Commands that print or write something and exit, without running the proxy.

use super::completions::CompletionsCommand;
use super::desktop::{BrowserCommand, EnvCommand, SystemProxyCommand};
use super::explain::ExplainCommand;
use super::help::HelpCommand;
use super::init::InitCommand;
use super::man::ManCommand;
use super::pac::PacCommand;
use super::service::ServiceCommand;

/// A command that prints or writes something and exits, without running the proxy.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Errand {
    Explain(ExplainCommand),
    Pac(PacCommand),
    Init(InitCommand),
    Env(EnvCommand),
    #[command(skip)]
    Browser(BrowserCommand),
    SystemProxy(SystemProxyCommand),
    Service(ServiceCommand),
    Help(HelpCommand),
    Completions(CompletionsCommand),
    Man(ManCommand),
}

impl Errand {
    /// Runs the command. The exit status of an error is 2 if it is a [`FileError`](super::FileError), otherwise 1.
    pub async fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Explain(command) => command.run().await?,
            Self::Pac(command) => command.run().await?,
            Self::Init(command) => command.run()?,
            Self::Env(command) => command.run().await?,
            Self::Browser(command) => command.run().await?,
            Self::SystemProxy(command) => command.run().await?,
            Self::Service(command) => command.run().await?,
            Self::Help(command) => command.run(),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run()?,
        }
        Ok(())
    }
}
