//! `sockeye ping`.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use super::args::PingArgs;
use super::instance::Instance;
use super::{Done, FAILED, FINE, show};
use crate::cli::configured::say;
use crate::control::client::Client;
use crate::control::schema::{Ping, PingRequest};

/// Pings, and shows each stage.
pub(super) async fn run(args: PingArgs) -> Done {
    let instance = Instance::one(args.which)?;
    let client = Client::new(&instance.socket).patient();
    let request = PingRequest {
        destination: args.destination.clone(),
        server: args.server.clone(),
        http: args.http,
    };
    let mut opened = false;
    for number in 0..args.count {
        if number > 0 {
            sleep(PAUSE).await;
        }
        let ping: Ping = client.ask(Method::POST, "/v1/ping", &request).await?;
        opened = ping.opened;
        if args.json {
            say(&format!("{}\n", serde_json::to_string(&ping).unwrap_or_default()));
        } else {
            say(&text(&ping));
        }
    }
    Ok(if opened { FINE } else { FAILED })
}

/// A ping in two lines: the stages, and what was slow.
fn text(ping: &Ping) -> String {
    let mut line = show::text(&ping.target);
    if let Some(server) = &ping.server {
        let _ = write!(line, " over {}", show::text(server));
        if let Some(session) = ping.session {
            let _ = write!(line, "#{session}");
        }
    }
    if let Some(rule) = &ping.rule {
        let _ = write!(line, " by {}", show::text(rule));
    }
    let stages = [
        ("rule", ping.stages.decided),
        ("session", ping.stages.waited),
        ("round trip", ping.round_trip),
        ("open", ping.stages.opened),
        ("first byte", ping.stages.first_byte),
    ];
    for (number, (name, took)) in stages.iter().filter_map(|(n, t)| Some((n, (*t)?))).enumerate() {
        let mark = if number == 0 { ":" } else { "," };
        let _ = write!(line, "{mark} {name} {}", show::millis(took));
    }
    let end = if ping.opened { "" } else { "failed: " };
    format!("{line}\n  {end}{}\n", show::text(&ping.verdict))
}

/// Between two pings.
const PAUSE: Duration = Duration::from_secs(1);
