//! Commands that print or write something and end, without the proxy.

use super::command::Command;
use super::completions::CompletionsCommand;
use super::desktop::{BrowserCommand, EnvCommand, SystemProxyCommand};
use super::help::HelpCommand;
use super::init::InitCommand;
use super::man::ManCommand;
use super::service::ServiceCommand;

/// A command that prints or writes something and ends, without the proxy.
#[derive(Clone, Debug)]
pub enum Errand {
    /// `sockeye init`.
    Init(InitCommand),
    /// `sockeye env`.
    Env(EnvCommand),
    /// `sockeye browser`.
    Browser(BrowserCommand),
    /// `sockeye system-proxy`.
    SystemProxy(SystemProxyCommand),
    /// `sockeye service`.
    Service(ServiceCommand),
    /// `sockeye help`.
    Help(HelpCommand),
    /// `sockeye completions`.
    Completions(CompletionsCommand),
    /// `sockeye man`.
    Man(ManCommand),
}

impl Errand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// The command has failed: exit status 1.
    pub async fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Init(command) => Ok(command.run()?),
            Self::Env(command) => Ok(command.run().await?),
            Self::Browser(command) => Ok(command.run().await?),
            Self::SystemProxy(command) => Ok(command.run().await?),
            Self::Service(command) => Ok(command.run().await?),
            Self::Help(command) => {
                command.run();
                Ok(())
            }
            Self::Completions(command) => {
                command.run();
                Ok(())
            }
            Self::Man(command) => Ok(command.run()?),
        }
    }
}

impl From<Errand> for Command {
    fn from(errand: Errand) -> Self {
        Self::Errand(errand)
    }
}
