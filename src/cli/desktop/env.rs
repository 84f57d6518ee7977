//! `sockeye env`: the environment variables for a proxy.

use clap::{Parser, ValueEnum};

use super::ProxyArgs;
use crate::cli::configured::say;
use crate::destination::Destination;

/// What to do with the variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Set them to this proxy.
    Set(Destination),
    Unset,
}

/// The syntax of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// sh, bash, zsh and the like.
    Sh,
    /// fish.
    Fish,
    /// `PowerShell`.
    Powershell,
}

/// `sockeye env`.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Prints the variables by which programs use the proxy: eval \"$(sockeye env)\".",
    after_help = "The server resolves names. The rules decide what goes direct."
)]
pub struct EnvCommand {
    #[command(flatten)]
    proxy: ProxyArgs,

    /// Unset the variables
    #[arg(long)]
    unset: bool,

    /// Shell syntax [default: by $SHELL]
    #[arg(long, value_name = "sh|fish|powershell", value_enum, hide_possible_values = true)]
    shell: Option<Shell>,
}

impl EnvCommand {
    pub(in crate::cli) async fn run(&self) -> anyhow::Result<()> {
        let act = if self.unset { Act::Unset } else { Act::Set(self.proxy.find().await?) };
        say(&lines(self.shell.unwrap_or_else(Shell::of_the_user), &act));
        Ok(())
    }
}

impl Shell {
    fn of_the_user() -> Self {
        let shell = std::env::var("SHELL").unwrap_or_default();
        match shell.rsplit('/').next() {
            Some("fish") => Self::Fish,
            Some("pwsh") => Self::Powershell,
            _ => Self::Sh,
        }
    }
}

/// The lines that do it, one for each variable.
pub(super) fn lines(shell: Shell, act: &Act) -> String {
    // The values consist of letters, digits and `:/.[]-`, which need no escaping in any kind of quotes.
    let line = |(name, scheme): &(&str, &str)| match (shell, act) {
        (Shell::Sh, Act::Set(proxy)) => format!("export {name}='{scheme}://{proxy}'\n"),
        (Shell::Sh, Act::Unset) => format!("unset {name}\n"),
        (Shell::Fish, Act::Set(proxy)) => format!("set -gx {name} '{scheme}://{proxy}'\n"),
        (Shell::Fish, Act::Unset) => format!("set -e {name}\n"),
        (Shell::Powershell, Act::Set(proxy)) => format!("$env:{name} = '{scheme}://{proxy}'\n"),
        (Shell::Powershell, Act::Unset) => {
            format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue\n")
        }
    };
    VARIABLES.iter().map(line).collect()
}

/// The variables that programs read, in both cases except for `http_proxy`: in capitals, a web client
/// could set it in a CGI program (httpoxy). `socks5h` leaves name resolution to the far side.
const VARIABLES: [(&str, &str); 5] = [
    ("ALL_PROXY", "socks5h"),
    ("all_proxy", "socks5h"),
    ("http_proxy", "http"),
    ("HTTPS_PROXY", "http"),
    ("https_proxy", "http"),
];
