//! `sockeye connections` and `sockeye kill`.

use hyper::Method;
use serde::Serialize;

use super::args::{ConnectionsArgs, KillArgs};
use super::instance::Instance;
use super::{Done, FAILED, FINE, Failure, show};
use crate::cli::configured::say;
use crate::control::client::{Client, ClientError};
use crate::control::schema::{Closed, Connection, Connections, Event};

/// Lists connections.
pub(super) async fn list(args: ConnectionsArgs) -> Done {
    let instance = Instance::one(args.which)?;
    let client = Client::new(&instance.socket);
    if args.watch {
        return watch(&client, args.json).await;
    }
    let path = format!("/v1/connections?{}", args.filter.query());
    let found: Connections = client.get(&path).await?;
    for connection in &found.connections {
        line(connection, args.json, show::connection_line);
    }
    if found.truncated && !args.json {
        say("…\n");
    }
    Ok(FINE)
}

/// Shows connections as they open and close, until the program ends.
async fn watch(client: &Client<'_>, json: bool) -> Done {
    let mut events = client.events().await?;
    while let Some(event) = events.next().await {
        match &event {
            Event::ConnectionOpened { connection } => {
                line(connection, json, |c| format!("+ {}", show::connection_line(c)));
            }
            Event::ConnectionClosed { connection } => {
                line(connection, json, |c| format!("- {}", show::connection_line(c)));
            }
            Event::SessionUp { server, session } if !json => {
                say(&format!("  session {session} of {} is up\n", show::text(server)));
            }
            Event::SessionDown { server, session, reason, .. } if !json => {
                let (server, reason) = (show::text(server), show::text(reason));
                say(&format!("  session {session} of {server} has ended: {reason}\n"));
            }
            _ => {}
        }
    }
    super::note("the program has ended");
    Ok(FINE)
}

fn line(connection: &Connection, json: bool, words: impl Fn(&Connection) -> String) {
    let text = if json { json_of(connection) } else { words(connection) };
    say(&format!("{text}\n"));
}

fn json_of<T: Serialize>(content: &T) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

/// Ends connections.
pub(super) async fn kill(args: KillArgs) -> Done {
    let query = args.filter.query();
    if args.ids.is_empty() && query.is_empty() && !args.all {
        return Err(Failure::Words(
            "name the connections by id, by a filter, or with --all".to_owned(),
        ));
    }
    if !args.ids.is_empty() && (!query.is_empty() || args.all) {
        return Err(Failure::Words("give ids or a filter, not both".to_owned()));
    }
    let instance = Instance::one(args.which)?;
    let client = Client::new(&instance.socket);
    if args.ids.is_empty() {
        let path = format!("/v1/connections?all={}&{query}", args.all);
        let done: Closed = client.ask(Method::DELETE, &path, &()).await?;
        say(&format!("ended: {}\n", done.closed));
        return Ok(FINE);
    }
    let mut status = FINE;
    for id in &args.ids {
        match client.ask::<Closed, _>(Method::DELETE, &format!("/v1/connections/{id}"), &()).await {
            Ok(_) => say(&format!("ended: connection {id}\n")),
            Err(error @ ClientError::Refused(_)) => {
                super::tell(&error.into());
                status = FAILED;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(status)
}
