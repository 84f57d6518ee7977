//! `sockeye explain`: shows which rule a request would match, and where it would go.

use std::net::IpAddr;
use std::sync::Arc;

use clap::Parser;

use crate::app::{ForwardOptions, ServerOptions, Service};
use crate::config::{Config, ForwardConfig};
use crate::destination::{Destination, Host};
use crate::dial::{Routing, look_up};
use crate::forward::{ListenAddress, RemoteTo};
use crate::route::{Explanation, Outcome, Query};
use crate::target::Target;

use super::configured::{self, ConfigFile, FileError};
use super::from_file;

/// `sockeye explain`.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Shows for each destination which rule a request would match, and where it would go."
)]
pub struct ExplainCommand {
    /// Destination of the request; the default port is 443
    #[arg(value_name = "DESTINATION", required = true, value_parser = destination)]
    destinations: Vec<Destination>,

    #[command(flatten)]
    pub(super) file: ConfigFile,

    /// The proxy user [default: none]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// The address of the client
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,

    /// Name or local address of the listener or forward [default: the first]
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
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let config = self.file.load().await?;
        let listener = Listener::find(self, &config).await?;
        for destination in &self.destinations {
            let explanation = explain(self, &config, &listener, destination).await?;
            configured::say(&if self.json {
                format!("{}\n", serde_json::json!(explanation))
            } else {
                format!("{explanation}\n")
            });
        }
        Ok(())
    }
}

/// Explains the decision on one request, with the trace of the rules.
async fn explain(
    command: &ExplainCommand,
    config: &Config,
    listener: &Listener,
    destination: &Destination,
) -> Result<Explanation, FileError> {
    let target = Target::Host(destination.clone());
    if let Some(to) = listener.to.as_ref().filter(|to| **to != target) {
        let forward = configured::quoted(&listener.name);
        return Err(FileError::OneTarget { forward, to: to.to_string() });
    }
    let query = Query {
        host: Some(destination.host()),
        port: Some(destination.port()),
        listener: &listener.name,
        source: Some(command.from.to_canonical()),
        user: command.user.as_deref(),
    };
    let explain =
        |found: Option<&[IpAddr]>| listener.routing.explain(&config.router, &target, &query, found);
    let explanation = explain(None);
    Ok(match (&explanation.outcome, destination.host()) {
        (Outcome::Resolve, Host::Name(name)) if !command.no_resolve => match look_up(name).await {
            Some(found) => explain(Some(&found)),
            None => explanation.unresolved(),
        },
        _ => explanation,
    })
}

/// The listener of a request.
struct Listener {
    /// Its name in rules.
    name: String,
    routing: Routing,
    /// Its only target; `None` for a proxy.
    to: Option<Target>,
}

impl Listener {
    /// Finds the listener that the user named, or else the first.
    async fn find(command: &ExplainCommand, config: &Config) -> anyhow::Result<Self> {
        let name = name_of_listener(command, config)?;
        let is_listener = config.listeners.iter().any(|listener| *listener.name == *name);
        let forward = config.forwards.iter().find(|forward| **forward.name() == *name);
        match forward.filter(|_| !is_listener) {
            Some(forward) => Self::of_forward(name, forward, config).await,
            None => Ok(Self { name, routing: Routing::Rules, to: None }),
        }
    }

    async fn of_forward(
        name: String,
        forward: &ForwardConfig,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let mut servers = Vec::new();
        if let ForwardConfig::Remote { on, forward, .. } = forward
            && forward.to == RemoteTo::Proxy
            && let Some(server) = config.servers.iter().find(|server| server.name == *on)
        {
            // The server's PermitRemoteOpen is needed.
            let name = Arc::clone(&server.name);
            let (ssh, sessions) = (&server.ssh, server.sessions);
            servers.push(ServerOptions::query(name, &server.server, ssh, sessions).await?);
        }
        let (routing, to) = match from_file::configured(forward.clone(), &servers) {
            ForwardOptions::Here(options) => (
                options.service.routing(),
                match options.service {
                    Service::Forward { to, .. } => Some(to),
                    Service::Proxy { .. } => None,
                },
            ),
            ForwardOptions::OnServer(options) => (
                options.routing(),
                match options.forward.to {
                    RemoteTo::Fixed(to) => Some(to),
                    RemoteTo::Proxy => None,
                },
            ),
        };
        Ok(Self { name, routing, to })
    }
}

/// The listener's name in rules.
fn name_of_listener(command: &ExplainCommand, config: &Config) -> Result<String, FileError> {
    let mut known = config.names_of_listeners();
    let Some(wanted) = &command.listener else {
        return Ok(known.next().unwrap_or(DEFAULT_LISTENER).to_owned());
    };
    if known.any(|name| name == wanted) {
        return Ok(wanted.clone());
    }
    if let Ok(address) = wanted.parse::<ListenAddress>() {
        return Ok(config.name_at(&address).to_string());
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
            // An IPv6 address without brackets, which has no port.
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
    fn destinations_are_read_as_people_write_them() {
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
