//! The commands that answer and end, without the proxy.

use super::command::Command;
use super::completions::CompletionsCommand;
use super::help::HelpCommand;
use super::init::InitCommand;
use super::man::ManCommand;

/// A command that answers and ends, without the proxy.
#[derive(Clone, Debug)]
pub enum Errand {
    /// `sockeye init`.
    Init(InitCommand),
    /// `sockeye help`.
    Help(HelpCommand),
    /// `sockeye completions`.
    Completions(CompletionsCommand),
    /// `sockeye man`.
    Man(ManCommand),
}

impl Errand {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Why it could not be done. The exit status for it is 1.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Init(command) => Ok(command.run()?),
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
