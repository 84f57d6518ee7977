//! `sockeye connections` and `sockeye kill`.

use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use super::args::{ConnectionsArgs, KillArgs};
use super::{Done, FAILED, FINE, Failure, client, json, show, unless_refused};
use crate::cli::configured::{say, say_on};
use crate::control::client::{Client, ClientError, EventStream};
use crate::control::schema::{Closed, Connection, Connections, Event};

pub(super) async fn list(args: ConnectionsArgs) -> Done {
    let client = client(args.which)?;
    let query = args.filter.query();
    if args.watch {
        return watch(&client, &query, args.json).await;
    }
    let found: Connections = client.get(&format!("/v1/connections?{query}")).await?;
    for connection in &found.connections {
        say(&line(connection, args.json, show::connection_line));
    }
    if found.truncated && !args.json {
        say("…\n");
    }
    Ok(FINE)
}

/// Shows connections as they open and close, until the program exits or the output is closed. Notes gaps.
async fn watch(client: &Client, query: &str, as_json: bool) -> Done {
    let mut events = client.events(query).await?;
    let mut has_begun = false;
    loop {
        let Some(event) = events.next().await else {
            // The program disconnects those who read too slowly.
            match reconnect(client, query).await? {
                Some(again) => events = again,
                None => break,
            }
            continue;
        };
        let told = match &event {
            Event::ConnectionOpened { connection } => {
                line(connection, as_json, |c| format!("+ {}", show::connection_line(c)))
            }
            Event::ConnectionClosed { connection } => {
                line(connection, as_json, |c| format!("- {}", show::connection_line(c)))
            }
            Event::SessionUp { server, session } if !as_json => {
                format!("  session {session} of {} is up\n", show::text(server))
            }
            Event::SessionDown { server, session, reason, .. } if !as_json => {
                let (server, reason) = (show::text(server), show::text(reason));
                format!("  session {session} of {server} has ended: {reason}\n")
            }
            Event::Reset { .. } => {
                if std::mem::replace(&mut has_begun, true) {
                    super::note("some are missing here: they came faster than they were read");
                }
                continue;
            }
            _ => continue,
        };
        if say_on(&told).is_err() {
            return Ok(FINE);
        }
    }
    super::note("the program has ended");
    Ok(FINE)
}

/// Follows the events again; `None` if the program has ended.
async fn reconnect(client: &Client, query: &str) -> Result<Option<EventStream>, ClientError> {
    let mut attempts = 1..ATTEMPTS;
    loop {
        match client.events(query).await {
            Err(ClientError::NotRunning { .. }) => return Ok(None),
            Err(ClientError::Closed { .. }) if attempts.next().is_some() => sleep(PAUSE).await,
            result => return result.map(Some),
        }
    }
}

fn line(one: &Connection, as_json: bool, words: impl Fn(&Connection) -> String) -> String {
    if as_json { json(one) } else { format!("{}\n", words(one)) }
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

/// The attempts to follow the events again while the program closes each connection.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_program_that_closes_new_connections_has_ended_soon() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let ending = async {
            for _ in 0..2 {
                drop(listener.accept().await);
            }
            drop(listener);
        };
        let client = Client::new(&socket);
        let (again, ()) = tokio::join!(reconnect(&client, ""), ending);
        assert!(matches!(again, Ok(None)), "{again:?}");
    }
}
