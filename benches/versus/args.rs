//! The command line of the comparison.

use std::fmt;

use clap::Parser;

/// Side by side: this program, `ssh -D`, and each other peer found on the PATH.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, and raw")]
#[command(name = "versus", bin_name = "cargo bench --bench versus --")]
pub(crate) struct Args {
    /// How often each measure is taken of each peer; the medians are shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub(crate) rounds: u16,
    /// Only the measures whose name contains one of these, comma-separated; `=NAME` is that one alone
    #[arg(long, value_name = "SUBSTR", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Only the peers whose name contains one of these; `ssh -D` always runs
    #[arg(long, value_name = "SUBSTR", value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// One peer more: this program with further arguments, in every measure; may be repeated
    #[arg(long = "variant", value_name = "NAME=ARGUMENTS", value_parser = Variant::parse)]
    pub(crate) variants: Vec<Variant>,
    /// Only the measures over lines, which carry real IP packets and lose them (needs root)
    #[arg(long)]
    pub(crate) packets: bool,
    /// One round with short windows: a first look, not a result
    #[arg(long)]
    pub(crate) quick: bool,
    /// Put the figures into the README and the guide
    #[arg(long, conflicts_with_all = ["packets", "quick", "list", "peers"])]
    pub(crate) document: bool,
    /// Say what would be measured, and end
    #[arg(long)]
    pub(crate) list: bool,
    /// The same as --only
    #[arg(value_name = "SUBSTR")]
    pub(crate) filters: Vec<String>,
}

impl Args {
    /// Whether a measure of this name was asked for.
    pub(crate) fn wants_measure(&self, name: &str) -> bool {
        let mut asked = self.only.iter().chain(&self.filters).peekable();
        let is_meant = |part: &str| match part.strip_prefix('=') {
            Some(exact) => name == exact,
            None => name.contains(part),
        };
        asked.peek().is_none() || asked.any(|part| is_meant(part))
    }

    /// Whether a peer of this name was asked for.
    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|part| name.contains(part.as_str()))
    }
}

/// This program with further arguments, under a name of its own.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

impl Variant {
    /// `one session=--sessions 1..1`: the arguments are split at blanks.
    fn parse(text: &str) -> Result<Self, NotAVariant> {
        let (name, arguments) = text.split_once('=').ok_or(NotAVariant)?;
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Ok(Self { name: format!("sockeye {}", name.trim()), arguments })
    }
}

/// What was given for `--variant` has no `=`.
#[derive(Debug)]
struct NotAVariant;

impl fmt::Display for NotAVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("want NAME=ARGUMENTS, such as 'one session=--sessions 1..1'")
    }
}

impl std::error::Error for NotAVariant {}
