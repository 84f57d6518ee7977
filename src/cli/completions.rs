//! `sockeye completions`: the completion script of a shell.

use clap::Parser;
use clap_complete::Shell;

use super::configured::say;
use super::subcommand;

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints the completion script for a shell.",
    after_help = "For bash: sockeye completions bash > ~/.local/share/bash-completion/completions/sockeye"
)]
pub struct CompletionsCommand {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    shell: Shell,
}

impl CompletionsCommand {
    pub(super) fn run(&self) {
        say(&text(self.shell));
    }
}

fn text(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut subcommand::whole(), "sockeye", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_the_flags_and_the_commands() {
        for shell in Shell::value_variants() {
            let text = text(*shell);
            for word in ["sessions", "explain", "no-resolve", "completions"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
            // Flags of ssh that do nothing here are not offered.
            assert!(!text.contains("no-x11"), "{shell}");
        }
    }
}
