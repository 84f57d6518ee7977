//! `sockeye explain`: which rule a request would match, and where it would go.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;

use crate::config::Config;
use crate::destination::{Destination, Host};
use crate::dial::look_up;
use crate::forward::ListenAddress;
use crate::route::{Explanation, Outcome, Query};

use super::configured::{self, ConfigFile, FileError, definition, parse};

/// `sockeye explain`, validated.
#[derive(Clone, Debug)]
pub struct ExplainCommand {
    /// The configuration.
    pub file: ConfigFile,
    /// The requests' destinations, in order; at least one.
    pub destinations: Vec<Destination>,
    /// The proxy user (`--user`).
    pub user: Option<String>,
    /// The client's address (`--from`); by default 127.0.0.1.
    pub from: IpAddr,
    /// The listener (`--listener`); by default the first one of the file.
    pub listener: Option<String>,
    /// Whether names may be looked up here, as a rule with `resolve = "local"` does.
    pub look_up: LookUp,
    /// The output format.
    pub form: Form,
}

/// Whether names may be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// For rules that look names up.
    AsRequests,
    /// Never (`--no-resolve`).
    Never,
}

/// The form of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A paragraph for people.
    Text,
    /// One JSON object a line (`--json`).
    Json,
}

/// The raw flags of `sockeye explain`.
#[derive(Debug, Parser)]
#[command(
    about = "Shows for each destination which rule a request would match, and where it would go.",
    args_override_self = true
)]
struct ExplainArgs {
    /// Destination of the request; the default port is 443
    #[arg(value_name = "DESTINATION", required = true, value_parser = destination)]
    destinations: Vec<Destination>,

    /// The configuration [default: ~/.config/sockeye/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The proxy user [default: none]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// The address of the client [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,

    /// Name or address of the listener [default: the first]
    #[arg(long, value_name = "LISTENER")]
    listener: Option<String>,

    /// Do not look up names for rules with resolve = "local"
    #[arg(long)]
    no_resolve: bool,

    /// Print a JSON object a line: destination, action, rule, servers, trace
    #[arg(long)]
    json: bool,
}

impl ExplainCommand {
    /// The definition of its command line.
    pub(super) fn definition() -> clap::Command {
        definition::<ExplainArgs>("explain")
    }

    /// Reads the command line after `sockeye explain`.
    ///
    /// # Errors
    ///
    /// What `clap` cannot read, and `--help`.
    pub(super) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: ExplainArgs = parse("explain", words)?;
        Ok(Self {
            file: ConfigFile(args.config),
            destinations: args.destinations,
            user: args.user,
            from: args.from.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical(),
            listener: args.listener,
            look_up: if args.no_resolve { LookUp::Never } else { LookUp::AsRequests },
            form: if args.json { Form::Json } else { Form::Text },
        })
    }
}

/// Explains each destination on standard output.
///
/// # Errors
///
/// There is no configuration, it has mistakes, or it has no such listener.
pub async fn run(command: &ExplainCommand) -> Result<(), FileError> {
    let config = command.file.load().await?;
    let listener = listener(command, &config)?;
    for destination in &command.destinations {
        let explanation = explain(command, &config, &listener, destination).await;
        configured::say(&match command.form {
            Form::Text => format!("{explanation}\n"),
            Form::Json => format!("{}\n", serde_json::json!(explanation)),
        });
    }
    Ok(())
}

/// The evaluation of the rules for one request, with its trace.
async fn explain(
    command: &ExplainCommand,
    config: &Config,
    listener: &str,
    destination: &Destination,
) -> Explanation {
    let query = Query {
        host: Some(destination.host()),
        port: Some(destination.port()),
        listener,
        source: Some(command.from),
        user: command.user.as_deref(),
    };
    let explanation = config.router.explain(&query, None);
    match (&explanation.outcome, destination.host(), command.look_up) {
        (Outcome::Resolve, Host::Name(name), LookUp::AsRequests) => match look_up(name).await {
            Some(found) => config.router.explain(&query, Some(&found)),
            None => explanation.unresolved(),
        },
        _ => explanation,
    }
}

/// The listener's name in rules.
fn listener(command: &ExplainCommand, config: &Config) -> Result<String, FileError> {
    let mut known = config.names_of_listeners();
    let Some(wanted) = &command.listener else {
        return Ok(known.next().unwrap_or(DEFAULT_LISTENER).to_owned());
    };
    // An address may be that of a -D.
    if known.any(|name| name == wanted) || wanted.parse::<ListenAddress>().is_ok() {
        return Ok(wanted.clone());
    }
    let known: Vec<_> = config.names_of_listeners().map(configured::quoted).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(FileError::NoListener { wanted: configured::quoted(wanted), known })
}

/// Parses `host:port`, `host`, or a URL, whose path is ignored.
fn destination(text: &str) -> Result<Destination, String> {
    let parsed = match text.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let authority = authority.rsplit('@').next().unwrap_or_default();
            let port = if scheme.eq_ignore_ascii_case("http") { 80 } else { HTTPS };
            Destination::parse(authority, Some(port))
        }
        None => Destination::parse(text, Some(HTTPS)).or_else(|why| match text.parse() {
            // An IPv6 address without brackets has no port.
            Ok(host @ Host::Ip(_)) => Destination::new(host, HTTPS),
            _ => Err(why),
        }),
    };
    parsed.map_err(|why| why.to_string())
}

/// The default port of a destination (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;
/// The default listener.
const DEFAULT_LISTENER: &str = "127.0.0.1:1080";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_as_people_write_them() {
        for (text, read) in [
            ("example.com", "example.com:443"),
            ("Example.com:8080", "example.com:8080"),
            ("https://example.com/a:b?c#d", "example.com:443"),
            ("http://user@example.com", "example.com:80"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("::1", "[::1]:443"),
            ("10.0.0.1", "10.0.0.1:443"),
        ] {
            assert_eq!(destination(text).expect(text).to_string(), read);
        }
        for text in ["", "a b", "a:0", "http://", ":80"] {
            assert!(destination(text).is_err(), "{text:?}");
        }
    }
}
