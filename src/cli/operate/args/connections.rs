//! The command lines of `sockeye connections` and `sockeye kill`.

use clap::{Args, Parser};
use strum::VariantArray as _;

use super::Which;
use crate::registry::State;

/// Selects connections.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Those over this server
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Those of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Those to this host, or below it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Those of this listener
    #[arg(long, value_name = "LISTENER")]
    listener: Option<String>,
    /// Those of this proxy user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[arg(
        long,
        value_name = "STATE",
        help = "waiting, opening, relaying, half_closed or ended",
        value_parser = super::words(State::VARIANTS),
        hide_possible_values = true
    )]
    state: Option<String>,
    /// Those of this session
    #[arg(long, value_name = "ID")]
    session: Option<u64>,
    /// Those older than this, in seconds
    #[arg(long, value_name = "SECONDS")]
    older: Option<u64>,
    /// Those that carried at least this many bytes
    #[arg(long, value_name = "BYTES")]
    min_bytes: Option<u64>,
}

impl FilterArgs {
    /// The query of the request; empty without a filter.
    pub(in crate::cli::operate) fn query(&self) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let older = self.older.map(|seconds| seconds.saturating_mul(1000));
        let all = [
            ("server", self.server.clone()),
            ("rule", self.rule.clone()),
            ("host", self.host.clone()),
            ("listener", self.listener.clone()),
            ("user", self.user.clone()),
            ("state", self.state.clone()),
            ("session", number(self.session)),
            ("older", number(older)),
            ("min_bytes", number(self.min_bytes)),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in all {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Lists the connections of a running program.",
    after_help = after!("0 when it is done, 1 when not")
)]
pub struct ConnectionsArgs {
    #[command(flatten)]
    pub(in crate::cli::operate) filter: FilterArgs,
    /// As JSON, an object a line
    #[arg(long)]
    pub(in crate::cli::operate) json: bool,
    /// Show connections as they open and close
    #[arg(short, long)]
    pub(in crate::cli::operate) watch: bool,
    #[command(flatten)]
    pub(in crate::cli::operate) which: Which,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Ends connections of a running program. Their clients are reset.",
    after_help = after!("0 when it is done, 1 when not")
)]
pub struct KillArgs {
    /// The ids that `sockeye connections` shows
    #[arg(value_name = "ID")]
    pub(in crate::cli::operate) ids: Vec<u64>,
    #[command(flatten)]
    pub(in crate::cli::operate) filter: FilterArgs,
    /// All of them
    #[arg(long)]
    pub(in crate::cli::operate) all: bool,
    #[command(flatten)]
    pub(in crate::cli::operate) which: Which,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let args = KillArgs::try_parse_from(["kill", "--host", "a b&c", "--older", "3"]);
        assert_eq!(args.expect("good").filter.query(), "host=a+b%26c&older=3000");
        assert_eq!(FilterArgs::default().query(), "");
    }
}
