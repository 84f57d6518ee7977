//! `sockeye ping`.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use super::args::PingArgs;
use super::{Done, FAILED, FINE, client, json, show};
use crate::cli::configured::say_on;
use crate::control::schema::{Ping, PingRequest};

pub(super) async fn run(args: PingArgs) -> Done {
    let client = client(args.which)?.patient();
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
        opened |= ping.opened;
        if say_on(&if args.json { json(&ping) } else { text(&ping) }).is_err() {
            break;
        }
    }
    Ok(if opened { FINE } else { FAILED })
}

/// A ping in two lines: its stages, and what was slow.
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

/// The pause between two pings.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn one_opened_channel_is_success_and_zero_pings_are_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let program = crate::task::spawn(async move {
            // The first connection only checks that a program listens.
            let _ = listener.accept().await.expect("a client");
            for opened in [true, false] {
                let (mut client, _) = listener.accept().await.expect("a client");
                let _ = client.read(&mut [0; 4096]).await.expect("a request");
                let ping = format!("{{\"opened\":{opened}}}");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ping.len());
                client.write_all((head + &ping).as_bytes()).await.expect("it reads");
            }
        });
        let words = |count| ["ping", "-c", count, "--json", "-S", socket.to_str().expect("text")];
        let args = PingArgs::try_parse_from(words("2")).expect("good");
        assert_eq!(run(args).await.expect("an answer"), FINE);
        drop(program);
        assert!(PingArgs::try_parse_from(words("0")).is_err());
    }
}
