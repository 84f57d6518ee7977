//! Events as a stream of server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Either;
use http_body_util::channel::Sender;
use hyper::{Response, StatusCode};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::filter::Filter;
use super::program::Program;
use super::reply::{Body, StreamBody, head};
use super::{schema, view};
use crate::printable::word;
use crate::registry::{Connection, Event, State, Traffic};
use crate::task;

/// A response that streams events until the client leaves or the program ends, with the connections that match.
pub(super) fn stream(program: &Program, filter: Filter) -> Response<Body> {
    let program = program.clone();
    let body = StreamBody::new(AHEAD, |sender| {
        Stream { program, filter, sender, seen: HashMap::new(), sequence: 0 }.run()
    });
    head(StatusCode::OK, "text/event-stream", Either::Right(body))
}

struct Stream {
    program: Program,
    filter: Filter,
    sender: Sender<Bytes, Infallible>,
    /// The connections as they were last sent.
    seen: HashMap<u64, Seen>,
    sequence: u64,
}

/// The facts about a connection whose change makes it worth sending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    state: State,
    traffic: Traffic,
    is_identified: bool,
    is_held_up: bool,
}

/// The error if the client has left or does not read.
struct Gone;

impl Seen {
    fn of(connection: &Connection, remark: Option<&str>) -> Self {
        Self {
            state: connection.state(),
            traffic: connection.traffic(),
            is_identified: connection.process().is_some(),
            is_held_up: remark.is_some(),
        }
    }
}

impl Stream {
    async fn run(mut self) {
        let mut events = self.program.registry().events.listen();
        let ended = self.program.ended().clone();
        let mut tick = task::every(TICK);
        tick.tick().await;
        let mut sent = self.reset().await;
        while sent.is_ok() {
            sent = tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => self.event(event).await,
                    // Events were lost, so the client's state is out of date.
                    Err(RecvError::Lagged(_)) => self.reset().await,
                    Err(RecvError::Closed) => return,
                },
                _ = tick.tick() => self.tick().await,
                () = ended.cancelled() => return,
            };
        }
    }

    async fn reset(&mut self) -> Result<(), Gone> {
        self.seen.clear();
        let (status, connections) = self.changes().await;
        self.send(&schema::Event::Reset { status, connections }).await
    }

    async fn tick(&mut self) -> Result<(), Gone> {
        let (status, connections) = self.changes().await;
        self.send(&schema::Event::Tick { status, connections }).await
    }

    /// The status, and the connections that have changed since they were last sent.
    async fn changes(&mut self) -> (Box<schema::Status>, Vec<schema::Connection>) {
        self.program.identify().await;
        let mut living = self.program.registry().connections.living();
        living.retain(|connection| self.filter.matches(connection));
        let remarks = self.program.remarks(&living);
        let mut seen = HashMap::with_capacity(living.len());
        let mut connections = Vec::new();
        for (connection, remark) in living.iter().zip(remarks) {
            let now = Seen::of(connection, remark.as_deref());
            // A connection that is held up is sent each time, since the duration in its remark grows.
            if remark.is_some() || self.seen.get(&connection.id()) != Some(&now) {
                connections.push(view::connection_view(connection, remark));
            }
            seen.insert(connection.id(), now);
        }
        self.seen = seen;
        (Box::new(self.program.status()), connections)
    }

    async fn event(&mut self, event: Event) -> Result<(), Gone> {
        let one = |program: &Program, connection: Arc<Connection>| {
            Box::new(program.connections(&[connection]).remove(0))
        };
        let event = match event {
            Event::ConnectionOpened(connection) | Event::ConnectionClosed(connection)
                if !self.filter.matches(&connection) =>
            {
                return Ok(());
            }
            Event::ConnectionOpened(connection) => {
                schema::Event::ConnectionOpened { connection: one(&self.program, connection) }
            }
            Event::ConnectionClosed(connection) => {
                schema::Event::ConnectionClosed { connection: one(&self.program, connection) }
            }
            Event::SessionUp { server, session } => {
                schema::Event::SessionUp { server: server.to_string(), session }
            }
            Event::SessionDown { server, session, end, reason } => schema::Event::SessionDown {
                server: server.to_string(),
                session,
                end: word(end).to_owned(),
                reason: reason.to_string(),
            },
            Event::AttemptFailed { server, reason } => schema::Event::AttemptFailed {
                server: server.to_string(),
                reason: reason.to_string(),
            },
            Event::ForwardChanged(forward) => {
                schema::Event::Forward { forward: view::forward(&forward) }
            }
            Event::Reloaded(text) => schema::Event::Reloaded { text: text.to_string() },
        };
        self.send(&event).await
    }

    async fn send(&mut self, event: &schema::Event) -> Result<(), Gone> {
        self.sequence += 1;
        let text = serde_json::to_string(event).map_err(|_| Gone)?;
        // The text contains no line feeds: JSON escapes them.
        let text = format!("id: {}\ndata: {text}\n\n", self.sequence);
        match timeout(PATIENCE, self.sender.send_data(text.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// The interval at which figures are sent.
const TICK: Duration = Duration::from_secs(1);
/// The most events in the queue. One may describe all connections; a slow client gets the current state
/// instead of the history.
const AHEAD: usize = 1;
/// The time for which a client may block the stream.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::time::sleep;

    use super::*;
    use crate::control::testing::program;

    #[tokio::test(start_paused = true)]
    async fn little_is_queued_for_a_client_that_does_not_read() {
        let mut body = stream(&program().0, Filter::default()).into_body();
        sleep(2 * PATIENCE).await;
        let mut kept = 0;
        while let Some(Ok(_)) = body.frame().await {
            kept += 1;
            assert!(kept <= 3, "each tick was");
        }
    }
}
