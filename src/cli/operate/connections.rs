//! `sockeye connections` and `sockeye kill`.

use hyper::Method;

use super::args::{ConnectionsArgs, KillArgs};
use super::{Done, FAILED, FINE, Failure, client, say_json, show, unless_refused};
use crate::cli::configured::say;
use crate::control::client::Client;
use crate::control::schema::{Closed, Connection, Connections, Event};

pub(super) async fn list(args: ConnectionsArgs) -> Done {
    let client = client(args.which)?;
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
async fn watch(client: &Client, json: bool) -> Done {
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
    if json { say_json(connection) } else { say(&format!("{}\n", words(connection))) }
}

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
    let client = client(args.which)?;
    if args.ids.is_empty() {
        let path = format!("/v1/connections?all={}&{query}", args.all);
        let done: Closed = client.ask(Method::DELETE, &path, &()).await?;
        say(&format!("ended: {}\n", done.closed));
        return Ok(FINE);
    }
    let mut status = FINE;
    for id in &args.ids {
        let path = format!("/v1/connections/{id}");
        match unless_refused(client.ask::<Closed, _>(Method::DELETE, &path, &()).await)? {
            Some(_) => say(&format!("ended: connection {id}\n")),
            None => status = FAILED,
        }
    }
    Ok(status)
}
